"""When the passes of one scheduler run: at ticks, and between two ticks when a row is due.

Ticks are an interval apart, on the monotonic clock, from the first pass on. All times here are of
that clock, in seconds: a wrong or changed clock of the host makes no difference.
"""

import math
import time

from common.backoff import retry_delay
from common.scheduling.due.next_due import NextDue

# From one pass to the next, if rows become due all the time.
LEAST_SECONDS = 1.0


class Cadence:
    """Used by the loop and the pass of one scheduler, which are on the same thread.

    ``is_between_ticks``: the pass runs because a row is due.
    """

    def __init__(self, interval: float) -> None:
        """The first tick is now."""
        self._interval = interval
        self._first_tick = time.monotonic()
        self._row_due_at = math.inf
        self._earliest = -math.inf
        # Whether any pass knew when the next row is due, and how many of the last left rows that
        # other sessions had locked, or did not know it any more.
        self._was_known = False
        self._unsure = 0
        self.is_between_ticks = False

    def begin(self, due_at: float, *, is_woken: bool) -> None:
        """A pass begins that was due at that time, or that somebody wants now."""
        self.is_between_ticks = not is_woken and due_at == self._row_due_at
        self._row_due_at = math.inf
        # From when it was due: that this one is late must not make the next one late.
        self._earliest = min(due_at, time.monotonic()) + LEAST_SECONDS

    def expect(self, next_due: NextDue) -> None:
        """Plan a pass for the next row, as the database has just answered."""
        now = time.monotonic()
        # Without an index it is never known, and a pass is expensive.
        is_lost = self._was_known and not next_due.is_known
        self._was_known = self._was_known or next_due.is_known
        self._unsure = self._unsure + 1 if next_due.is_left or is_lost else 0
        again = retry_delay(self._unsure, self._interval) if self._unsure else math.inf
        self._row_due_at = max(now + min(next_due.seconds, again), self._earliest)

    def next_tick(self) -> float:
        """The first tick from now on."""
        return next_tick(self._first_tick, self._interval, time.monotonic())

    def next_pass(self, soon: float = math.inf) -> float:
        """When the next pass runs; in ``soon`` seconds at the latest."""
        return min(self.next_tick(), self._row_due_at, time.monotonic() + soon)


def next_tick(previous: float, interval: float, now: float) -> float:
    """The first time after ``now`` that lies a whole number of intervals after ``previous``."""
    return previous + interval * (math.floor((now - previous) / interval) + 1)
