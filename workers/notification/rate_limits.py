"""How fast Discord may be called. All times are seconds of one monotonic clock.

Sources: Discord's documentation "Rate Limits" (the headers; 50 requests a second altogether, for
callers without a token counted by IP address), and what its engineers say in discord-api-docs
issue 367: five requests in two seconds for a webhook, and 30 in a minute for the channel behind
it, which no header announces.
"""

import time
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta


@dataclass(frozen=True, slots=True)
class PassClock:
    """The time of a pass: the database's at its start, and what has gone by here since."""

    now: datetime
    _started: float = field(default_factory=time.monotonic)

    def time(self, seconds: float) -> datetime:
        """The time that this reading of the monotonic clock stands for."""
        return self.now + timedelta(seconds=seconds - self._started)

    def seconds(self, time: datetime) -> float:
        """The reading of the monotonic clock at that time."""
        return self._started + (time - self.now).total_seconds()


@dataclass(frozen=True, slots=True)
class Limit:
    """So many requests in any stretch of so many seconds."""

    requests: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Bucket:
    """The X-RateLimit headers of an answer: what is left, and seconds until it is all back."""

    remaining: int
    reset_after: float


PER_WEBHOOK = Limit(5, 2.0)
PER_CHANNEL = Limit(30, 60.0)
ALTOGETHER = Limit(50, 1.0)

# Discord rounds to milliseconds, and its clock and ours do not run alike.
MARGIN = 0.02


class Window:
    """The latest requests under one limit."""

    def __init__(self, limit: Limit, requests: Iterable[float] = ()) -> None:
        self._limit = limit
        self._requests = deque(requests, maxlen=limit.requests)

    def add(self, at: float) -> None:
        self._requests.append(at)

    @property
    def free_at(self) -> float:
        """When the limit allows the next request; in the past if it does so now."""
        full = len(self._requests) == self._limit.requests
        return self._requests[0] + self._limit.seconds + MARGIN if full else float("-inf")

    def since(self, at: float) -> list[float]:
        """The requests after that time that still count."""
        return [request for request in self._requests if request > at]


class ChannelLimits:
    """When one channel's webhook may be called again.

    A request counts from its answer, not from its start: when exactly it reached Discord is not
    known, but it was before that.
    """

    def __init__(self, requests: Iterable[float] = (), quiet_until: float = 0.0) -> None:
        """``requests`` and ``quiet_until`` are what an earlier pass has left."""
        earlier = sorted(requests)
        self._channel = Window(PER_CHANNEL, earlier)
        self._webhook = Window(PER_WEBHOOK)
        self.quiet_until = quiet_until
        if earlier:
            # That pass may have been killed with a request under way, of which nothing is known.
            self.be_quiet(earlier[-1] + PER_WEBHOOK.seconds + MARGIN)

    @property
    def ready_at(self) -> float:
        return max(self.quiet_until, self._channel.free_at, self._webhook.free_at)

    def answered(self, at: float, bucket: Bucket | None) -> None:
        """Count a request that was answered, or given up, at that time."""
        self._channel.add(at)
        if bucket is None:
            self._webhook.add(at)
        elif bucket.remaining < 1:
            self.be_quiet(at + bucket.reset_after + MARGIN)

    def be_quiet(self, until: float) -> None:
        """Let no request be made before that time."""
        self.quiet_until = max(self.quiet_until, until)

    def counted(self, now: float) -> list[float]:
        """The requests that will count in a later pass, too."""
        return self._channel.since(now - PER_CHANNEL.seconds)
