"""How many rows are due, counted in the background while somebody looks at the page.

Without a suitable index a count reads the whole table, so it has the limits of the metrics' counts.
"""

import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

import psycopg

from common.cli.status.collector import Loaded
from common.cli.status.run_periods import JobKey
from common.database.error_classification import connection_lost
from common.database.session import Session
from common.errors import LimitReached, PassError, naming_limits
from common.logging import logs
from common.scheduling.pass_runner import PassRunner
from common.worker import backlog_sampler as limits
from web.configured import Configured, database_of

_log = logs.logger(__name__)


@dataclass(frozen=True, slots=True)
class Backlog:
    """The number of due rows, counted ``at`` this time; at most ``most`` are counted.

    ``rows`` is None if the count failed or took too long.
    """

    rows: int | None
    at: datetime
    most: int = limits.MOST_ROWS


@dataclass
class Backlogs:
    """Counts with the role of each service; safe to share between threads."""

    configured: Configured
    _counted: dict[JobKey, Backlog] = field(default_factory=dict, init=False)
    _due_at: float = field(default=float("-inf"), init=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, init=False)

    def known(self) -> Mapping[JobKey, Backlog]:
        """The last counts, by service and scheduler; starts new ones if it is time.

        It returns at once. A scheduler that is off, or has no cheap count, is not in it.
        """
        if time.monotonic() >= self._due_at and self._lock.acquire(blocking=False):
            try:
                with naming_limits():
                    threading.Thread(target=self._run, name="backlogs", daemon=True).start()
            except LimitReached:
                self._lock.release()
        return self._counted

    def _run(self) -> None:
        started = time.monotonic()
        try:
            loaded, _ = self.configured.every()
            # Replaced as a whole: others read it meanwhile.
            self._counted = {
                job: backlog for each in loaded for job, backlog in _counts(each).items()
            }
        finally:
            seconds = time.monotonic() - started
            pause = max(limits.LEAST_SECONDS, seconds / limits.MOST_SHARE)
            self._due_at = time.monotonic() + pause
            self._lock.release()


def _counts(loaded: Loaded) -> dict[JobKey, Backlog]:
    """The due rows of the schedulers of one service, as far as they can be counted."""
    service, settings = loaded
    database = database_of(settings)
    runners = [
        PassRunner(each, settings, database)
        for each in service.schedulers
        if settings[each.enabled] and each.work.backlog
    ]
    if not runners:
        return {}
    try:
        with database.connect_for(limits.SAMPLE_SECONDS) as connection:
            return {
                (service.name, runner.scheduler.name): Backlog(
                    _count(connection, runner), datetime.now(UTC)
                )
                for runner in runners
            }
    except (psycopg.Error, PassError) as error:
        _log.debug("backlog_count_failed", error=error)
        return {}


def _count(connection: Session, runner: PassRunner) -> int | None:
    try:
        with connection.begin(limits.LIMITS, read_only=True):
            return runner.backlog(connection, limits.MOST_ROWS)
    except (psycopg.Error, PassError) as error:
        if connection_lost(error):
            raise
        _log.debug("backlog_count_failed", error=error)
        return None
