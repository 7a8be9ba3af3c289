"""The first pass ever of a scheduler, which may find years of work that nobody did.

A pass is a first one while no success of the scheduler is recorded, by any process. If it finds
more than LARGE rows due, it says so; with ``TOAST_FIRST_PASS=ask`` it waits for `toast takeover`,
which runs it, quietly if wanted. Neither runs during the other.
"""

from dataclasses import dataclass
from datetime import timedelta

import psycopg

from common.config import TOAST_FIRST_PASS, Settings
from common.database import run_history
from common.database.run_history import Run
from common.logging import logs
from common.scheduling.scheduler import Pass, PassResult, Scheduler

_log = logs.logger(__name__)

LARGE = 1_000
# Without a suitable index, to count takes as long as to read the table.
_COUNT_LIMITS = {"statement_timeout": "10s"}

_LARGE = f"more than {LARGE:,} rows are due"
_GOES_ON = f"its first pass goes on: {_LARGE} (TOAST_FIRST_PASS=go)"
_WAITS = "waits for `toast takeover"


@dataclass(frozen=True, slots=True)
class Takeover:
    """A pass of `toast takeover`.

    ``announced``: only rows that became due at most so long ago leave an event; None: all rows.
    """

    announced: timedelta | None


class FirstPass:
    """Runs the passes of one scheduler, and watches over the first one."""

    def __init__(self, scheduler: Scheduler, settings: Settings, takeover: Takeover | None) -> None:
        self._scheduler = scheduler
        self._service = settings.service
        self._asks = settings[TOAST_FIRST_PASS] == "ask"
        self._takeover = takeover
        # True once a success is known: from then on a pass costs nothing more.
        self._is_over = False
        self._is_logged = False

    def run(self, current: Pass, run: Run) -> PassResult:
        """Run the scheduler's pass, or skip it with the reason."""
        self._is_over = self._is_over or self._has_succeeded(current)
        if self._is_over and self._takeover is None:
            return self._scheduler.work.run(current)
        name = f"toast-first-pass/{self._scheduler.name}"
        with current.connection.try_lock(name, shared=self._takeover is None) as is_ours:
            if not is_ours:
                other = "a worker" if self._takeover else "`toast takeover`"
                return PassResult(skipped=f"{other} runs the first pass of {self._scheduler.name}")
            if self._takeover is None and self._is_large(current):
                self._log_large()
                if self._asks:
                    return PassResult(skipped=_waits(self._service))
                run.explain(current.connection, _GOES_ON)
            return self._scheduler.work.run(current)

    def _has_succeeded(self, current: Pass) -> bool:
        last = run_history.last_success(current.connection, self._service, self._scheduler.name)
        return last is not None

    def _is_large(self, current: Pass) -> bool:
        """Whether more than LARGE rows are due; what cannot be counted in time is large, too."""
        count = self._scheduler.work.backlog
        if count is None:
            return False
        try:
            with current.connection.limited(_COUNT_LIMITS):
                return count(current, LARGE + 1) > LARGE
        except psycopg.errors.QueryCanceled:
            return True

    def _log_large(self) -> None:
        if not self._is_logged:
            self._is_logged = True
            what = _waits(self._service) if self._asks else _GOES_ON
            _log.warning("large_first_pass_found", reason=what)


def is_waiting(result: str | None, error: str) -> bool:
    """Whether a pass with this result and error waits for `toast takeover`."""
    return result == "skipped" and error.startswith(_WAITS)


def _waits(service: str) -> str:
    return f"{_WAITS} {service}`: {_LARGE} for its first pass (TOAST_FIRST_PASS=ask)"
