"""Breaks between the slices of a pass that can wait, so that the live services hardly notice it.

The pass uses TOAST_RETENTION_SHARE of the time: after each slice it rests in proportion to how long
the slice took, which also follows a server that gets slower. It rests less if it would otherwise
not end within a tenth of its interval.
"""

import time

from common.config import TOAST_RETENTION_SHARE
from common.scheduling.scheduler import Pass

# The part of its interval in which a pass is to end.
_PART_OF_INTERVAL = 0.1
# A pass that rests is not stalled: it shows so at least this often.
_SIGN_OF_LIFE_SECONDS = 60.0


class Breaks:
    """The breaks of one pass over all slices, none of which has begun."""

    def __init__(self, current: Pass) -> None:
        self._pass = current
        self._share = current.settings[TOAST_RETENTION_SHARE]
        self._ends_at = current.started + _PART_OF_INTERVAL * current.interval.total_seconds()
        self._worked = 0.0
        self._resumed_at = time.monotonic()

    def take(self, done: float) -> None:
        """Rest after a slice, while no transaction is open; less if the pass is to end.

        ``done`` is the part of all slices that is done, from 0 to 1.
        """
        now = time.monotonic()
        worked = now - self._resumed_at
        self._worked += worked
        left = self._rest(worked, done, now) if done < 1 else 0
        while left > 0 and not self._pass.wait(min(left, _SIGN_OF_LIFE_SECONDS)):
            left -= _SIGN_OF_LIFE_SECONDS
            self._pass.report_progress(share=done)
        self._resumed_at = time.monotonic()

    def _rest(self, worked: float, done: float, now: float) -> float:
        """How long to rest after a slice that took ``worked`` seconds; at most what is to spare."""
        work_left = self._worked * (1 - done) / done
        time_left = self._ends_at - now
        if work_left >= time_left:
            return 0
        share = max(self._share, work_left / time_left)
        return min(worked * (1 / share - 1), time_left - work_left)
