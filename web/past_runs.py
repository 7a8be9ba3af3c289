"""The passes of a time by periods, of which those that are over are not read again at once.

A month of passes, one a minute, takes longer to count than a page may take to load.
"""

import threading
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from common.cli.status import run_periods
from common.cli.status.run_periods import JobKey, Period
from common.database.session import Connection

# Passes that failed without a database are recorded later, also in a period that is over.
KEPT_SECONDS = 600.0


@dataclass(frozen=True, slots=True)
class _Kept:
    """The periods that are over, and until when, by the monotonic clock, they are believed."""

    periods: Sequence[Period]
    until: float


@dataclass
class PastRuns:
    """The last ``number`` periods of this ``length``; safe to share between threads."""

    length: timedelta
    number: int
    _kept: dict[JobKey, _Kept] = field(default_factory=dict, init=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, init=False)

    def first(self, now: datetime) -> datetime:
        """The begin of the first of these periods."""
        return run_periods.begin_of(now, self.length) - (self.number - 1) * self.length

    def read(
        self, connection: Connection, jobs: Iterable[JobKey], now: datetime
    ) -> dict[JobKey, Sequence[Period]]:
        """The periods of each (service, scheduler) in which a pass began, oldest first."""
        first = self.first(now)
        with self._lock:
            kept = {job: self._known(job) for job in jobs}
        since = {
            job: periods[-1].began + self.length if periods else first
            for job, periods in kept.items()
        }
        fresh = run_periods.read(connection, since, self.length)
        found = {
            job: [each for each in (*kept[job], *fresh[job]) if each.began >= first] for job in kept
        }
        with self._lock:
            for job, periods in found.items():
                self._keep(job, periods, now)
        return dict(found)

    def _known(self, job: JobKey) -> Sequence[Period]:
        kept = self._kept.get(job)
        return kept.periods if kept and time.monotonic() < kept.until else ()

    def _keep(self, job: JobKey, periods: Sequence[Period], now: datetime) -> None:
        # The passes of the last period may go on in the present one.
        over = run_periods.begin_of(now, self.length) - self.length
        until = self._kept[job].until if self._known(job) else time.monotonic() + KEPT_SECONDS
        self._kept[job] = _Kept([each for each in periods if each.began < over], until)
