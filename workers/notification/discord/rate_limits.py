"""Discord's rate limits. All times are seconds of one monotonic clock.

Sources: Discord's documentation "Rate Limits" (the headers; the global limit of 50 requests a
second, for callers without a token counted by IP address), and its engineers in discord-api-docs
issue 367: five requests in two seconds for a webhook, and 30 in a minute for the channel behind
it, which is in no header.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from common.remote.rate_limit import SlidingWindow

WEBHOOK_REQUESTS, WEBHOOK_SECONDS = 5, 2.0
CHANNEL_REQUESTS, CHANNEL_SECONDS = 30, 60.0
ALL_REQUESTS, ALL_SECONDS = 50, 1.0

# Discord rounds to milliseconds, and its clock differs from ours.
MARGIN = 0.02


@dataclass(frozen=True, slots=True)
class Bucket:
    """The X-RateLimit headers of a reply: requests left, and seconds until the bucket is full."""

    remaining: int
    reset_after: float


class ChannelLimits:
    """When one channel's webhook may be called again.

    A request counts from its reply, not from its start: Discord counted it some time before the
    reply.
    """

    def __init__(self, requests: Iterable[float] = (), quiet_until: float = 0.0) -> None:
        """``requests`` and ``quiet_until`` come from an earlier pass."""
        earlier = sorted(requests)
        self._channel = SlidingWindow(CHANNEL_REQUESTS, CHANNEL_SECONDS + MARGIN, earlier)
        self._webhook = SlidingWindow(WEBHOOK_REQUESTS, WEBHOOK_SECONDS + MARGIN)
        self.quiet_until = quiet_until
        if earlier:
            # That pass may have been killed during a request, which is then not recorded.
            self.pause_until(earlier[-1] + WEBHOOK_SECONDS + MARGIN)

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
        return self._channel.since(now - CHANNEL_SECONDS)
