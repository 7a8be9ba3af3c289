"""Discord's rate limits. All times are seconds of one monotonic clock.

Sources: Discord's documentation "Rate Limits" (the headers; the global limit of 50 requests a
second, for callers without a token counted by IP address), and its engineers in discord-api-docs
issue 367: five requests in two seconds for a webhook, and 30 in a minute for the channel behind
it, which is in no header.
"""

import time
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta


@dataclass(frozen=True, slots=True)
class PassClock:
    """The time of a pass: the database's time at its start plus the time since then here."""

    now: datetime
    _started: float = field(default_factory=time.monotonic)

    def time(self, seconds: float) -> datetime:
        """Convert from the monotonic clock to the database's time."""
        return self.now + timedelta(seconds=seconds - self._started)

    def seconds(self, time: datetime) -> float:
        """Convert from the database's time to the monotonic clock."""
        return self._started + (time - self.now).total_seconds()


@dataclass(frozen=True, slots=True)
class Limit:
    """At most ``requests`` in any period of ``seconds``."""

    requests: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Bucket:
    """The X-RateLimit headers of a reply: requests left, and seconds until the bucket is full."""

    remaining: int
    reset_after: float


PER_WEBHOOK = Limit(5, 2.0)
PER_CHANNEL = Limit(30, 60.0)
GLOBAL = Limit(50, 1.0)

# Discord rounds to milliseconds, and its clock differs from ours.
MARGIN = 0.02


class RequestWindow:
    """The latest requests under one limit, a sliding window."""

    def __init__(self, limit: Limit, requests: Iterable[float] = ()) -> None:
        self._limit = limit
        self._requests = deque(requests, maxlen=limit.requests)

    def add(self, at: float) -> None:
        self._requests.append(at)

    @property
    def free_at(self) -> float:
        """When the limit allows the next request; in the past if it allows one now."""
        full = len(self._requests) == self._limit.requests
        return self._requests[0] + self._limit.seconds + MARGIN if full else float("-inf")

    def since(self, at: float) -> list[float]:
        """The requests after that time that still count."""
        return [request for request in self._requests if request > at]


class ChannelLimits:
    """When one channel's webhook may be called again.

    A request counts from its reply, not from its start: Discord counted it some time before the
    reply.
    """

    def __init__(self, requests: Iterable[float] = (), quiet_until: float = 0.0) -> None:
        """``requests`` and ``quiet_until`` come from an earlier pass."""
        earlier = sorted(requests)
        self._channel = RequestWindow(PER_CHANNEL, earlier)
        self._webhook = RequestWindow(PER_WEBHOOK)
        self.quiet_until = quiet_until
        if earlier:
            # That pass may have been killed during a request, which is then not recorded.
            self.pause_until(earlier[-1] + PER_WEBHOOK.seconds + MARGIN)

    @property
    def ready_at(self) -> float:
        return max(self.quiet_until, self._channel.free_at, self._webhook.free_at)

    def count_request(self, at: float, bucket: Bucket | None) -> None:
        """Count a request that got its reply, or was given up, at that time."""
        self._channel.add(at)
        if bucket is None:
            self._webhook.add(at)
        elif bucket.remaining < 1:
            self.pause_until(at + bucket.reset_after + MARGIN)

    def pause_until(self, until: float) -> None:
        """Allow no request before that time."""
        self.quiet_until = max(self.quiet_until, until)

    def counted(self, now: float) -> list[float]:
        """The requests that still count in a later pass."""
        return self._channel.since(now - PER_CHANNEL.seconds)
