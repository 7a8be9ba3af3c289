"""One pass of notification-retry: take the next channel, send its message, record the reply.

The pass's own thread chooses and records; a bounded number of threads only call Discord. A channel
has at most one request in flight, and goes back into the queue with the time at which its webhook
may be called again, so no thread waits for a rate limit.
"""

import math
import time
from collections.abc import Iterable
from contextlib import closing
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID

from psycopg.rows import DictRow

from common import metrics
from common.database.error_classification import reason
from common.database.row_guard import RowGuard
from common.logging import logs
from common.remote.thread_pool import ThreadPool
from common.scheduling import Pass, PassResult
from workers.notification import attempt_records, due_notifications, unsent_notifications
from workers.notification.attempt_records import gone_reason
from workers.notification.channel_queue import ChannelQueue
from workers.notification.discord import client, embed
from workers.notification.discord.client import (
    Discord,
    DiscordReply,
    RateLimited,
    SendResult,
    UnusableUrl,
)
from workers.notification.discord.embed import UnreadablePayload
from workers.notification.discord.rate_limits import MARGIN, ChannelLimits
from workers.notification.due_notifications import ALL_CHANNELS, Channel
from workers.notification.retry_session import RetrySession

_log = logs.logger(__name__)

# At the usual 0.3 s a request, enough for Discord's global limit of 50 requests a second.
SENDERS = 16
# A stop waits this long for requests in flight; a worker has 10 s for all of its stop.
STOP_SECONDS = 4.0
# The longest waits between two checks for a stop, and between two reports of progress.
_TICK_SECONDS = 1.0
_PROGRESS_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class DiscordMessage:
    """One notification, ready to be posted."""

    channel: Channel
    row: DictRow
    webhook: client.Webhook
    embed: dict[str, Any]


_Pool = ThreadPool[DiscordMessage, DiscordReply]


class RetryPass:
    """Sends the due notifications, for at most ``seconds``; one object is one pass.

    A pass waits for its requests in flight, so it may end later, by at most their timeout.
    """

    def __init__(
        self, current: Pass, session: RetrySession, *, seconds: float, allow_loopback_http: bool
    ) -> None:
        self._pass = current
        self._session = session
        self._queue = ChannelQueue(closes_at=time.monotonic() + seconds)
        self._allow_loopback_http = allow_loopback_http
        zeros = {"delivered": 0, "rate_limited": 0, "skipped": 0, "unreachable": 0, "left": 0}
        self._total = PassResult(details=zeros)

    def run(self, channels: list[Channel]) -> PassResult:
        """Send until nothing is due, the rest must wait too long, or a stop is requested.

        Details of the result: ``delivered``; ``rate_limited`` answers; and notifications not
        attempted: ``skipped`` (channel inactive or deleted), ``unreachable`` (webhook gone or
        refused) and ``left`` for the next pass.
        """
        self._queue_channels(channels)
        with (
            closing(Discord()) as remote,
            _Pool(lambda one: remote.post(one.webhook, one.embed), SENDERS, "discord") as pool,
        ):
            try:
                self._send(pool)
            finally:
                # After an error requests may be in flight; they must end before the next pass.
                if not self._pass.stopping():
                    list(pool.last(STOP_SECONDS))
        left = sum(channel.left for channel in channels)
        self._count(left=left)
        if left and self._pass.stopping():
            return replace(self._total, complete=False)
        unsent_notifications.forget_set_aside(self._session)
        return self._total

    def _queue_channels(self, channels: list[Channel]) -> None:
        """Queue the channels that may be called; for the others, count and explain what waits."""
        self._queue.pause_until(due_notifications.load_limits(self._session, channels))
        for channel in channels:
            if not channel.is_open:
                self._count(skipped=channel.left)
                channel.left = 0
            elif channel.gone_reason is not None:
                self._leave_unsent(channel, channel.gone_reason)
            else:
                self._queue.add(channel)

    def _send(self, pool: _Pool) -> None:
        while not self._pass.stopping():
            self._submit(pool)
            seconds = self._queue.seconds_until_next()
            if pool.in_flight:
                tick = _TICK_SECONDS if pool.is_full else min(seconds, _TICK_SECONDS)
                self._record(pool.finished(tick))
            elif seconds < math.inf:
                self._pass.wait(min(seconds, _PROGRESS_SECONDS))
                self._pass.report_progress()
            else:
                return
        self._record(pool.last(STOP_SECONDS))

    def _submit(self, pool: _Pool) -> None:
        """Give every free thread a message, as far as the limits allow."""
        while not pool.is_full and (channel := self._queue.pop()):
            if message := self._next_message(channel):
                self._queue.count_request()
                pool.submit(message)

    def _next_message(self, channel: Channel) -> DiscordMessage | None:
        """The next message for this channel; None if nothing is due or the worker stops."""
        while not self._pass.stopping():
            notification = due_notifications.take_next(self._session, channel)
            if notification is None:
                channel.left = 0
                return None
            with RowGuard() as guard:
                row = due_notifications.read(self._session, channel, notification)
                if row and (message := self._message(channel, row)):
                    return message
            if guard.error:
                # Without a row this must succeed; if it fails, the row is not the cause.
                due_notifications.read(self._session, channel, None)
                self._set_aside(channel, notification, guard.error)
        return None

    def _message(self, channel: Channel, row: DictRow) -> DiscordMessage | None:
        """Build a message; what cannot be built is recorded or ends the calls to the channel."""
        try:
            webhook = client.webhook(
                row["webhook_url"], allow_loopback_http=self._allow_loopback_http
            )
            event = embed.rebuild(
                row["event_payload"],
                event_id=row["event_id"],
                event_type=row["event_type"],
                created_at=row["created_at"],
            )
            return DiscordMessage(channel, row, webhook, embed.embed(event, row["color"]))
        except UnusableUrl as refusal:
            self._give_up(channel, f"not sent: {refusal}")
        except UnreadablePayload as error:
            self._record_attempt(channel, row, SendResult(error=str(error)), time.monotonic())
        return None

    def _record(self, sent: Iterable[tuple[DiscordMessage, DiscordReply | Exception]]) -> None:
        """Record replies, or errors of our own, and queue their channels again."""
        for message, reply in sent:
            channel = message.channel
            if isinstance(reply, Exception):
                channel.limits.count_request(time.monotonic(), None)
                self._set_aside(channel, message.row["id"], reply)
            else:
                channel.limits.count_request(reply.at, reply.bucket)
                self._record_reply(message, reply)
            # A channel with nothing left is not queued: the pass would wait for its limits.
            if due_notifications.has_next(self._session, channel):
                self._queue.add(channel)
            else:
                channel.left = 0

    def _record_reply(self, message: DiscordMessage, reply: DiscordReply) -> None:
        channel, outcome = message.channel, reply.outcome
        if isinstance(outcome, RateLimited):
            channel.next_ids.appendleft(message.row["id"])
            self._apply_rate_limit(channel, outcome, reply.at)
            return
        metrics.RETRIES.labels("notification", "notification").inc()
        self._record_attempt(channel, message.row, outcome, reply.at)
        if outcome.permanent:
            self._give_up(channel, gone_reason(outcome))

    def _record_attempt(
        self, channel: Channel, row: DictRow, attempt: SendResult, at: float
    ) -> None:
        done = attempt_records.record(self._session, channel, row, attempt, at)
        self._add(done, of=channel)

    def _set_aside(self, channel: Channel, notification: UUID, error: Exception) -> None:
        why = f"not sent: {reason(error)}"
        at = time.monotonic()
        self._add(unsent_notifications.set_aside(self._session, notification, why, at), of=channel)

    def _apply_rate_limit(self, channel: Channel, limit: RateLimited, at: float) -> None:
        until = at + limit.seconds + MARGIN
        if limit.everywhere:
            self._queue.pause_until(until)
            all_limits = ChannelLimits(quiet_until=self._queue.quiet_until)
            attempt_records.store_limits(self._session, ALL_CHANNELS, all_limits, at)
        else:
            channel.limits.pause_until(until)
        attempt_records.store_limits(self._session, channel.id, channel.limits, at)
        self._count(rate_limited=1)
        metrics.rate_limited("notification", "discord", limit.seconds)
        _log.info(
            "rate_limited",
            channel_id=channel.id,
            channel=channel.name,
            seconds=round(limit.seconds, 3),
            everywhere=limit.everywhere,
        )

    def _give_up(self, channel: Channel, reason: str) -> None:
        """Stop calling this channel, until its row is changed."""
        _log.warning(
            "channel_set_aside",
            channel_id=channel.id,
            channel=channel.name,
            waiting=channel.left,
            reason=reason,
        )
        self._leave_unsent(channel, reason)

    def _leave_unsent(self, channel: Channel, reason: str) -> None:
        """Write the reason into the notifications that wait for this channel."""
        explained = unsent_notifications.explain(self._session, channel, reason, time.monotonic())
        self._add(explained)
        self._count(unreachable=max(0, channel.left - explained.failed))
        channel.gone_reason, channel.left = reason, 0

    def _count(self, **details: int) -> None:
        self._add(PassResult(details=details))

    def _add(self, done: PassResult, *, of: Channel | None = None) -> None:
        if of:
            of.left = max(0, of.left - 1)  # new ones may wait since they were counted
        self._total += done
        self._pass.report_progress(done)
