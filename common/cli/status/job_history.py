"""The state of every scheduler, from the run history and the sessions of one database."""

import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from common.cli.status import sessions
from common.cli.status.sessions import Activity
from common.config import Settings
from common.database.session import Session
from common.scheduling.overdue import overdue_after
from common.scheduling.scheduler import Scheduler

OK, FAILING, RUNNING, OVERDUE = "ok", "failing", "running", "overdue"
DISABLED, NEVER_RAN, UNKNOWN = "disabled", "never ran", "unknown"

# States in which an operator must act.
BAD = frozenset({FAILING, OVERDUE, NEVER_RAN, UNKNOWN})

# Enough for a sparkline, and to find a running pass behind skipped ones.
RECENT_RUNS = 24
# A scheduler that fails every second has more; the exact number is not needed.
MOST_RUNS = 10_000

# A pass takes unusually long after this many times the longest of the last ones, and these seconds.
SLOW_TIMES = 3
SLOW_SECONDS = 5.0

# The last runs of each job, the newest first.
_RECENT = f"""
SELECT run.* FROM unnest(%(services)s::text[], %(schedulers)s::text[]) AS job (service, scheduler)
CROSS JOIN LATERAL (
    SELECT service, scheduler, host, process, started_at, finished_at, result, counts, error
    FROM toast_runs
    WHERE service = job.service AND scheduler = job.scheduler
    ORDER BY started_at DESC LIMIT {RECENT_RUNS}
) AS run"""

# For each job: the last success, and the runs and failures of the last 24 hours.
_TOTALS = f"""
SELECT job.service, job.scheduler, day.runs, day.failures, (
    SELECT finished_at FROM toast_runs
    WHERE service = job.service AND scheduler = job.scheduler AND result = 'ok'
    ORDER BY started_at DESC LIMIT 1
) AS last_success
FROM unnest(%(services)s::text[], %(schedulers)s::text[]) AS job (service, scheduler)
CROSS JOIN LATERAL (
    SELECT count(*) AS runs, count(*) FILTER (WHERE result = 'failed') AS failures FROM (
        SELECT result FROM toast_runs
        WHERE service = job.service AND scheduler = job.scheduler
          AND started_at > now() - interval '24 hours'
        ORDER BY started_at DESC LIMIT {MOST_RUNS}
    ) AS run
) AS day"""

_NOW = "SELECT clock_timestamp() AS now"


@dataclass(frozen=True, slots=True)
class Job:
    """One scheduler; times are by the database's clock, ``interval`` and durations in seconds.

    ``durations`` are those of the last runs, oldest first. ``next_run`` is None if it is unknown,
    soon because of a failure, or will not happen because the process is down. ``running_for`` is
    set if the current pass takes unusually long, and ``waits`` is what it waits for, if known.
    """

    service: str
    scheduler: str
    enabled: bool
    interval: float
    state: str
    last_run: datetime | None = None
    seconds: float | None = None
    counts: Mapping[str, int] = field(default_factory=dict)
    last_success: datetime | None = None
    next_run: datetime | None = None
    runs_24h: int = 0
    failures_24h: int = 0
    durations: Sequence[float] = ()
    error: str = ""
    running_for: float | None = None
    waits: str = ""


class History:
    """The run history and the sessions of one database."""

    def __init__(
        self, connection: Session, jobs: Sequence[tuple[str, Scheduler, Settings]]
    ) -> None:
        keys = {
            "services": [service for service, _, _ in jobs],
            "schedulers": [scheduler.name for _, scheduler, _ in jobs],
        }
        row = connection.execute(_NOW).fetchone()
        assert row is not None
        self.now: datetime = row["now"]
        self._sessions = sessions.of_workers(connection)
        self._recent: dict[tuple[str, str], list[dict[str, Any]]] = {}
        for run in connection.execute(_RECENT, keys):
            self._recent.setdefault((run["service"], run["scheduler"]), []).append(run)
        self._totals = {
            (each["service"], each["scheduler"]): each for each in connection.execute(_TOTALS, keys)
        }

    @property
    def busy(self) -> list[Activity]:
        """The sessions whose statement takes unusually long."""
        return [
            session
            for session in self._sessions
            if session.is_busy and session.seconds > SLOW_SECONDS
        ]

    def job(self, service: str, scheduler: Scheduler, settings: Settings) -> Job:
        runs = self._recent.get((service, scheduler.name), [])
        totals = self._totals[service, scheduler.name]
        interval = settings[scheduler.interval].total_seconds()
        enabled = settings[scheduler.enabled]
        ended = [run for run in runs if run["result"] is not None]
        # A stopped or skipped pass has no result of its own.
        decided = next((run for run in ended if run["result"] in ("ok", "failed")), None)
        current = self._current_run(service, runs)
        shown = current or decided or next(iter(ended), None)
        session = self._busiest(service)
        if current is None and enabled:
            current = self._unrecorded_run(shown, interval, session)
        state = self._state(enabled, interval, decided, current, totals["last_success"])
        durations = [_seconds(run) for run in reversed(ended)]
        running_for = self._slow_for(current, durations)
        next_run = shown["started_at"] + timedelta(seconds=interval) if shown else None
        return Job(
            service,
            scheduler.name,
            enabled,
            interval,
            state,
            shown["started_at"] if shown else None,
            _seconds(decided) if decided else None,
            decided["counts"] if decided else {},
            totals["last_success"],
            next_run if enabled and state != FAILING else None,
            totals["runs"],
            totals["failures"],
            durations,
            decided["error"] if decided else "",
            running_for,
            session.waits if session and running_for is not None else "",
        )

    def _state(
        self,
        enabled: bool,
        interval: float,
        decided: dict[str, Any] | None,
        current: dict[str, Any] | None,
        last_success: datetime | None,
    ) -> str:
        limit = timedelta(seconds=overdue_after(interval))
        if not enabled:
            return DISABLED
        if current and self.now - current["started_at"] <= limit:
            return RUNNING
        if decided and decided["result"] == "failed":
            return FAILING
        if last_success is None:
            return NEVER_RAN
        return OVERDUE if self.now - last_success > limit else OK

    def _current_run(self, service: str, runs: Sequence[dict[str, Any]]) -> dict[str, Any] | None:
        """The running pass, if there is one; a run of a killed process never ends."""
        later: set[str] = set()
        for run in runs:
            superseded = run["host"] in later
            later.add(run["host"])
            if run["result"] is None and not superseded and self._is_alive(service, run):
                return run
        return None

    def _unrecorded_run(
        self, last: dict[str, Any] | None, interval: float, session: Activity | None
    ) -> dict[str, Any] | None:
        """A pass that cannot record its start, such as when a COMMIT hangs."""
        if session is None or not (session.is_busy or session.is_hidden):
            return None
        due = last["started_at"] + timedelta(seconds=interval) if last else None
        began = self.now - timedelta(seconds=session.seconds)
        if session.is_hidden and due:
            began = due
        too_early = due is not None and began < due - timedelta(seconds=SLOW_SECONDS)
        if too_early or self.now - began < timedelta(seconds=SLOW_SECONDS):
            return None
        return {"started_at": began}

    def _slow_for(self, current: dict[str, Any] | None, durations: Sequence[float]) -> float | None:
        if current is None:
            return None
        seconds: float = (self.now - current["started_at"]).total_seconds()
        usual = max(SLOW_TIMES * max(durations, default=0.0), SLOW_SECONDS)
        return seconds if seconds > usual else None

    def _busiest(self, service: str) -> Activity | None:
        """The session of a service with the longest statement."""
        ours = [session for session in self._sessions if session.service == service]
        busy = (session for session in ours if session.is_busy or session.is_hidden)
        return next(busy, ours[0] if ours else None)

    def _is_alive(self, service: str, run: dict[str, Any]) -> bool:
        if run["host"] == socket.gethostname():
            return Path(f"/proc/{run['process']}").exists()
        # Of processes on another machine, only the sessions are visible.
        return any(session.service == service for session in self._sessions)


def _seconds(run: Mapping[str, Any]) -> float:
    taken: timedelta = run["finished_at"] - run["started_at"]
    return taken.total_seconds()
