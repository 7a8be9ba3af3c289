"""The request budget of Battle.net, shared by everything in this process that calls it.

Battle.net allows one client 100 requests a second, answered with 429 beyond that, and 36,000
an hour, beyond which it only gets slow.
"""

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

MOST_IN_FLIGHT = 8


class StopRequested(Exception):
    """The worker is to stop: the request is not sent."""


class TokenBucket:
    """So many tokens, each of which comes back that many seconds after it was taken.

    Thus no period of that length sees more requests than tokens, wherever it begins and
    however late the threads woke up that sent them.
    """

    def __init__(self, tokens: int, seconds: float) -> None:
        self._seconds = seconds
        self._taken: deque[float] = deque(maxlen=tokens)

    def free_at(self) -> float:
        """When there will be a token, by the clock that `take` was told; 0 if there is one."""
        is_empty = len(self._taken) == self._taken.maxlen
        return self._taken[0] + self._seconds if is_empty else 0.0

    def take(self, now: float) -> None:
        self._taken.append(now)


class Budget:
    """Who may send a request now: by the buckets, and by the number that is in flight.

    Safe to share between threads. `clock` gives seconds that never go back.
    """

    def __init__(
        self, buckets: Sequence[TokenBucket], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._buckets = buckets
        self._clock = clock
        self._in_flight = threading.BoundedSemaphore(MOST_IN_FLIGHT)
        # One thread at a time waits for a token, the others for their turn to.
        self._turnstile = threading.Lock()
        self._paused_until = 0.0

    @contextmanager
    def request(self, wait: Callable[[float], bool]) -> Iterator[None]:
        """Wait for the turn to send one request, and hold its place until it is answered.

        `wait` waits so many seconds and says whether the worker is to stop; then StopRequested is
        raised.
        """
        with self._in_flight:
            with self._turnstile:
                while seconds := self._take_or_wait():
                    if wait(seconds):
                        raise StopRequested
            yield

    def pause(self, seconds: float) -> None:
        """Let nobody send anything for so long."""
        self._paused_until = max(self._paused_until, self._clock() + seconds)

    def _take_or_wait(self) -> float:
        """Take a token of each bucket, or none and say how long to wait for the last."""
        now = self._clock()
        turn = max(self._paused_until, *(bucket.free_at() for bucket in self._buckets))
        if turn > now:
            return turn - now
        for bucket in self._buckets:
            bucket.take(now)
        return 0.0


# The second is a bit longer here, so that what is delayed on its way does not meet the next
# second's requests. That leaves 97 % of the quota.
BUDGET = Budget((TokenBucket(100, 1.03), TokenBucket(36_000, 3600.0)))
