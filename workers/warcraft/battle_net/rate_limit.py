"""The request budget of Battle.net, shared by all its callers in this process.

Battle.net allows one client 100 requests a second, beyond which it replies 429, and 36,000 an
hour, beyond which it gets slow.
"""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from common.remote.rate_limit import SlidingWindow
from workers.warcraft.battle_net.errors import StopRequested

MOST_IN_FLIGHT = 8


class RequestBudget:
    """Limits the requests by the windows, and by the number in flight.

    Safe to share between threads. ``clock`` is monotonic, in seconds.
    """

    def __init__(
        self, windows: Sequence[SlidingWindow], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._windows = windows
        self._clock = clock
        self._in_flight = threading.BoundedSemaphore(MOST_IN_FLIGHT)
        # One thread at a time waits for the windows, the others for this lock.
        self._turnstile = threading.Lock()
        self._paused_until = 0.0

    @contextmanager
    def request(self, wait: Callable[[float], bool]) -> Iterator[None]:
        """Wait until one request may be sent; it is in flight during the block.

        ``wait`` waits for some seconds and returns whether the worker must stop; then
        StopRequested is raised.
        """
        with self._in_flight:
            with self._turnstile:
                while seconds := self._seconds_to_wait():
                    if wait(seconds):
                        raise StopRequested
            yield

    def pause(self, seconds: float) -> None:
        """Allow no request for so many seconds."""
        self._paused_until = max(self._paused_until, self._clock() + seconds)

    def _seconds_to_wait(self) -> float:
        """Count a request in every window and return 0, or return how long to wait first."""
        now = self._clock()
        free_at = max(self._paused_until, *(window.free_at for window in self._windows))
        if free_at > now:
            return free_at - now
        for window in self._windows:
            window.add(now)
        return 0.0


# The second is a bit longer here, because requests delayed on their way fall into the next second.
# That leaves 97 % of the quota.
BUDGET = RequestBudget((SlidingWindow(100, 1.03), SlidingWindow(36_000, 3600.0)))
