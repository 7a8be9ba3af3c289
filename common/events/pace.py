"""Spaces the events of a worker in time: TOAST_EVENTS_PER_SECOND."""

import math
import sys
import time
from collections.abc import Callable

# The events of this time go out together: a wait for each would be a wake-up for each.
SLICE_SECONDS = 0.1


class Pace:
    """At most ``per_second`` events a second; 0 is no limit. Not thread-safe."""

    def __init__(self, per_second: int) -> None:
        self._per_second = per_second
        # When the next events may be sent, by the monotonic clock.
        self._due_at = -math.inf

    @property
    def most_at_once(self) -> int:
        """The most events to send together."""
        if not self._per_second:
            return sys.maxsize
        return max(1, round(self._per_second * SLICE_SECONDS))

    def admit(self, number: int, wait: Callable[[float], bool]) -> bool:
        """Wait until so many events may be sent; False if a stop has ended the wait.

        ``wait(seconds)`` waits that long, and returns True at once when a stop is asked for.
        """
        if not self._per_second:
            return True
        delay = self._due_at - time.monotonic()
        if delay > 0 and wait(delay):
            return False
        # A wake-up that came late is made up for; an idle time, or a slow broker, is not.
        now = time.monotonic()
        keeps_up = now - self._due_at <= SLICE_SECONDS
        self._due_at = (self._due_at if keeps_up else now) + number / self._per_second
        return True
