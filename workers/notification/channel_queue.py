"""Which channel is called next, and when. All times are seconds of the monotonic clock."""

import heapq
import math
import time
from datetime import datetime
from uuid import UUID

from common.remote.rate_limit import SlidingWindow
from workers.notification.discord import rate_limits
from workers.notification.due_notifications import Channel


class ChannelQueue:
    """The channels that wait to be called; first the one whose limits end first.

    A channel that is in the queue has no request in flight.
    """

    def __init__(self, closes_at: float) -> None:
        """No channel may be called from ``closes_at`` on."""
        self._heap: list[tuple[float, datetime, UUID, Channel]] = []
        self._requests = SlidingWindow(
            rate_limits.ALL_REQUESTS, rate_limits.ALL_SECONDS + rate_limits.MARGIN
        )
        self._closes_at = closes_at
        self.quiet_until = 0.0

    def add(self, channel: Channel) -> None:
        """Queue it at the time at which its limits allow the next request."""
        heapq.heappush(self._heap, (channel.limits.ready_at, channel.oldest, channel.id, channel))

    def pop(self) -> Channel | None:
        """Take the next channel; None if none may be called now."""
        return None if self.seconds_until_next() > 0 else heapq.heappop(self._heap)[-1]

    def seconds_until_next(self) -> float:
        """The wait until a channel may be called; infinite if the queue closes before that."""
        if not self._heap:
            return math.inf
        now = time.monotonic()
        at = max(now, self._heap[0][0], self._requests.free_at, self.quiet_until)
        return at - now if at < self._closes_at else math.inf

    def count_request(self) -> None:
        """Count a request under the limit of all channels together."""
        self._requests.add(time.monotonic())

    def pause_until(self, until: float) -> None:
        """Allow no request to any channel before that time."""
        self.quiet_until = max(self.quiet_until, until)
