"""What one pass of notification-retry writes, and what it counts."""

import time
from uuid import UUID

from psycopg.rows import DictRow

from common import metrics
from common.database.error_classification import reason
from common.logging import logs
from common.scheduling import Pass, PassResult
from workers.notification import attempt_records, unsent_notifications
from workers.notification.attempt_records import gone_reason
from workers.notification.discord.reply import RateLimited, SendResult
from workers.notification.due_notifications import Channel
from workers.notification.retry_session import RetrySession

_log = logs.logger(__name__)


class PassRecords:
    """Records the outcomes of one pass; ``total`` is what it has done until now."""

    def __init__(self, current: Pass, session: RetrySession) -> None:
        zeros = {"delivered": 0, "rate_limited": 0, "skipped": 0, "unreachable": 0, "left": 0}
        self.total = PassResult(details=zeros)
        self._pass = current
        self._session = session

    def attempt(self, channel: Channel, row: DictRow, result: SendResult, at: float) -> None:
        """Record an attempt made at that time; a webhook that will not work again is given up."""
        done = attempt_records.record(self._session, channel, row, result, at)
        self._add(done, of=channel)
        if result.permanent:
            self.give_up(channel, gone_reason(result))

    def set_aside(self, channel: Channel, notification: UUID, error: Exception) -> None:
        """Set aside a notification that an error of the database or of our own stops."""
        why = f"not sent: {reason(error)}"
        at = time.monotonic()
        self._add(unsent_notifications.set_aside(self._session, notification, why, at), of=channel)

    def rate_limit(self, channel: Channel, limit: RateLimited, at: float) -> None:
        """Record a 429, and the limits of this channel."""
        attempt_records.store_limits(self._session, channel.id, channel.limits, at)
        self.count(rate_limited=1)
        metrics.rate_limited("notification", "discord", limit.seconds)
        _log.info(
            "rate_limited",
            channel_id=channel.id,
            channel=channel.name,
            seconds=round(limit.seconds, 3),
            everywhere=limit.everywhere,
        )

    def give_up(self, channel: Channel, reason: str) -> None:
        """Stop calling this channel, until its row is changed."""
        _log.warning(
            "channel_set_aside",
            channel_id=channel.id,
            channel=channel.name,
            waiting=channel.left,
            reason=reason,
        )
        self.leave_unsent(channel, reason)

    def leave_unsent(self, channel: Channel, reason: str) -> None:
        """Write the reason into the notifications that wait for this channel."""
        explained = unsent_notifications.explain(self._session, channel, reason, time.monotonic())
        self._add(explained)
        self.count(unreachable=max(0, channel.left - explained.failed))
        channel.gone_reason, channel.left = reason, 0

    def count(self, **details: int) -> None:
        """Add to these details of the total."""
        self._add(PassResult(details=details))

    def _add(self, done: PassResult, *, of: Channel | None = None) -> None:
        if of:
            of.left = max(0, of.left - 1)  # new ones may wait since they were counted
        self.total += done
        self._pass.report_progress(done)
