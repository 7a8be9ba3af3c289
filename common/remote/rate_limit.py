"""A rate limit: at most so many requests in any period of so many seconds."""

from collections import deque
from collections.abc import Iterable


class SlidingWindow:
    """The latest requests under one limit. All times are seconds of one monotonic clock."""

    def __init__(self, requests: int, seconds: float, earlier: Iterable[float] = ()) -> None:
        """``earlier`` are the times of requests that count already, the oldest first."""
        self._seconds = seconds
        self._times = deque(earlier, maxlen=requests)

    def add(self, at: float) -> None:
        """Count a request at this time."""
        self._times.append(at)

    @property
    def free_at(self) -> float:
        """When the next request is allowed; minus infinity if the limit is not reached."""
        is_full = len(self._times) == self._times.maxlen
        return self._times[0] + self._seconds if is_full else float("-inf")

    def since(self, at: float) -> list[float]:
        """The times of the requests after this one."""
        return [time for time in self._times if time > at]
