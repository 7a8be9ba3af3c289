"""Reports failures and check-ins of schedulers to Sentry, if SENTRY_DSN is set.

Nothing waits for Sentry: the SDK's thread sends from a bounded queue, and drops what does not fit.
Texts go through `redact`, as in the log; local variables and source lines are not sent.
"""

import math
import re
import socket
import threading
import time
import traceback
from collections.abc import Hashable
from typing import TYPE_CHECKING, Any, Literal

import psycopg

from common import config
from common.config import Settings
from common.database.run_history import Run
from common.errors import PassError
from common.logging.redaction import redact
from common.logging.throttle import Throttle
from common.scheduling.observer import Observer
from common.scheduling.overdue import overdue_after
from common.version import VERSION

if TYPE_CHECKING:
    from sentry_sdk.types import Event, Hint, MonitorConfig

Level = Literal["warning", "error"]

# A loop that fails every second sends one report, not 600.
REPEAT_SECONDS = 600.0
# With more causes than this, the throttle is reset.
MOST_CAUSES = 1_000
# Sentry's shortest schedule is a minute.
CHECK_IN_SECONDS = 60.0
# Sentry reports a run that takes longer than this and than its interval.
LONGEST_RUN_SECONDS = 3_600.0
# 28 days: Sentry drops a check-in whose monitor has a longer time.
MOST_MINUTES = 40_320
# Part of the time limit of a stop.
FLUSH_SECONDS = 1.5
QUEUE_EVENTS = 100

# Values in a message that differ from row to row, not from cause to cause.
_VALUES = re.compile(r"'[^']*'|\"[^\"]*\"|\b[0-9a-f]{8}-[0-9a-f-]{27}\b|\d+", re.IGNORECASE)


class Reports:
    """Sends reports of one worker; safe to call from every thread."""

    def __init__(self, settings: Settings) -> None:
        # Imported here so that a worker without a DSN does not load the SDK.
        import sentry_sdk

        self._sdk = sentry_sdk
        self._service = settings.service
        self._lock = threading.Lock()
        self._causes: dict[Hashable, Throttle] = {}
        sentry_sdk.init(
            dsn=settings[config.SENTRY_DSN],
            release=f"toast-workers@{VERSION}",
            environment=settings[config.ENVIRONMENT],
            server_name=socket.gethostname(),
            before_send=_scrub,
            # Integrations would report our log records and thread errors a second time.
            default_integrations=False,
            auto_enabling_integrations=False,
            include_local_variables=False,
            include_source_context=False,
            max_breadcrumbs=0,
            propagate_traces=False,
            auto_session_tracking=False,
            send_client_reports=False,
            # These would start threads that wake up.
            enable_backpressure_handling=False,
            enable_metrics=False,
            transport_queue_size=QUEUE_EVENTS,
            shutdown_timeout=FLUSH_SECONDS,
            # Not from the SDK's environment variables.
            debug=False,
            spotlight=False,
        )

    def failure(self, error: BaseException, *, scheduler: str = "", run_id: str = "") -> None:
        """Report an error, unless its cause was reported within REPEAT_SECONDS."""
        self._report(error, _cause(error), {"scheduler": scheduler, "run_id": run_id})

    def problem(
        self,
        cause: str,
        text: str,
        *,
        scheduler: str,
        run_id: str = "",
        level: Level = "error",
    ) -> None:
        """Report a text, unless its ``cause`` was reported within REPEAT_SECONDS."""
        self._report(text, cause, {"scheduler": scheduler, "run_id": run_id}, level)

    def check_in(
        self, slug: str, status: str, monitor: "MonitorConfig", check_in: str | None, seconds: float
    ) -> str | None:
        """Send the begin or end of a pass; returns Sentry's id of the check-in."""
        return self._sdk.crons.capture_checkin(
            monitor_slug=slug,
            check_in_id=check_in,
            status=status,
            duration=seconds,
            monitor_config=monitor,
        )

    def flush(self) -> None:
        """Send the queued reports, for at most FLUSH_SECONDS."""
        self._sdk.flush(FLUSH_SECONDS)

    def _report(
        self, what: BaseException | str, cause: str, tags: dict[str, str], level: Level = "error"
    ) -> None:
        fingerprint = [self._service, tags["scheduler"], cause]
        repeated = self._repeated(tuple(fingerprint))
        if repeated is None:
            return
        with self._sdk.new_scope() as scope:
            scope.fingerprint = fingerprint
            scope.set_extra("repeated_since_last_report", repeated)
            for name, value in {"service": self._service, **tags}.items():
                scope.set_tag(name, value)
            if isinstance(what, str):
                scope.capture_message(what, level=level)
            else:
                scope.capture_exception(what)

    def _repeated(self, cause: Hashable) -> int | None:
        """Occurrences since the last report; None if that was within REPEAT_SECONDS."""
        with self._lock:
            if len(self._causes) >= MOST_CAUSES and cause not in self._causes:
                self._causes.clear()
            return self._causes.setdefault(cause, Throttle()).admit(REPEAT_SECONDS)


class PassReports(Observer):
    """Reports one scheduler's failed passes, and checks in with its monitor."""

    def __init__(self, reports: Reports, service: str, scheduler: str, interval: float) -> None:
        """``interval`` is in seconds."""
        self._reports = reports
        self._slug = f"toast-{service}-{scheduler}"
        self._monitor = _monitor(interval)
        self._checked_in_at = -math.inf
        self._check_in: str | None = None

    def started(self, run: Run) -> None:
        self._check_in = None
        now = time.monotonic()
        if now - self._checked_in_at >= CHECK_IN_SECONDS:
            self._checked_in_at = now
            self._check_in = self._send_check_in("in_progress", 0.0)

    def ended(self, run: Run, error: Exception | None) -> None:
        if self._check_in is not None:
            self._send_check_in("error" if run.result == "failed" else "ok", run.seconds)
        if error is not None:
            self._reports.failure(error, scheduler=run.scheduler, run_id=str(run.id))
        elif failed := run.counts.get("failed"):
            self._reports.problem(
                "items failed",
                f"{failed} items of a pass failed: {run.error}",
                scheduler=run.scheduler,
                run_id=str(run.id),
                level="warning",
            )

    def _send_check_in(self, status: str, seconds: float) -> str | None:
        return self._reports.check_in(self._slug, status, self._monitor, self._check_in, seconds)


def start(settings: Settings) -> Reports | None:
    """Start the reports; None if SENTRY_DSN is not set."""
    return Reports(settings) if settings[config.SENTRY_DSN] else None


def _monitor(interval: float) -> "MonitorConfig":
    """The monitor that the first check-in creates, in whole minutes.

    With an interval of more than 28 days, Sentry expects the passes too early.
    """
    return {
        "schedule": {"type": "interval", "value": _minutes(interval), "unit": "minute"},
        "checkin_margin": _minutes(overdue_after(interval) - interval),
        "max_runtime": _minutes(max(interval, LONGEST_RUN_SECONDS)),
        "timezone": "UTC",
    }


def _minutes(seconds: float) -> int:
    return min(MOST_MINUTES, max(1, math.ceil(seconds / 60)))


def _cause(error: BaseException) -> str:
    """A name that is the same for all errors of one cause, in any row."""
    name = type(error).__name__
    if isinstance(error, psycopg.Error):
        return f"{name} {error.sqlstate or ''}".rstrip()
    if isinstance(error, PassError):  # after the colon are details
        # Redacted first: without its digits, a secret would not be recognised.
        message = redact(str(error)).partition(":")[0]
        return f"{name}: {_VALUES.sub('…', message)}"
    frames = traceback.extract_tb(error.__traceback__)
    return f"{name} in {frames[-1].name}" if frames else name


def _scrub(event: "Event", hint: "Hint") -> "Event":
    exceptions: Any = event.get("exception") or {}
    for exception in exceptions.get("values") or ():
        # After the first line, PostgreSQL quotes the row and the statement.
        exception["value"] = next(iter(str(exception.get("value") or "").splitlines()), "")
    scrubbed: Event = _redacted(event)
    return scrubbed


def _redacted(value: Any) -> Any:
    """The same structure with every text redacted."""
    match value:
        case str():
            return redact(value)
        case dict():
            return {key: _redacted(each) for key, each in value.items()}
        case list() | tuple():
            return [_redacted(each) for each in value]
        case _:
            return value
