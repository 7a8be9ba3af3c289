"""One pass of notification-retry: take the next channel, send its message, record the reply.

The pass's own thread chooses and records; a bounded number of threads only call Discord. A channel
has at most one request in flight, and goes back into the queue with the time at which its webhook
may be called again, so no thread waits for a rate limit.

While Discord is away, or its edge has banned this address, nothing is an attempt: the pass ends
after a few requests, and fails. The next one begins with a single request.
"""

import math
import time
from collections.abc import Iterable
from contextlib import closing
from dataclasses import dataclass, replace

from psycopg.rows import DictRow

from common import config, metrics
from common.database.row_guard import RowGuard
from common.errors import RemoteAway
from common.logging import logs
from common.remote.outage import OutageWatch
from common.remote.thread_pool import ThreadPool
from common.scheduling import Pass, PassResult
from workers.notification import attempt_records, due_notifications, unsent_notifications
from workers.notification.channel_queue import ChannelQueue
from workers.notification.discord import message
from workers.notification.discord.client import Discord
from workers.notification.discord.embed import UnreadablePayload
from workers.notification.discord.message import Message
from workers.notification.discord.rate_limits import MARGIN
from workers.notification.discord.reply import DiscordReply, RateLimited, SendResult
from workers.notification.discord.webhook import UnusableUrl
from workers.notification.due_notifications import Channel, Quiet
from workers.notification.pass_records import PassRecords
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
class Notification:
    """One notification of a channel, with its message."""

    channel: Channel
    row: DictRow
    message: Message


_Pool = ThreadPool[Notification, DiscordReply]
# A notification, what came of it, and when.
_Sent = tuple[Notification, SendResult, float]


class RetryPass:
    """Sends the due notifications, for at most ``seconds``; one object is one pass.

    A pass waits for its requests in flight, so it may end later, by at most their timeout.
    """

    def __init__(
        self, current: Pass, session: RetrySession, *, seconds: float, allow_loopback_http: bool
    ) -> None:
        self._pass = current
        self._session = session
        self._records = PassRecords(current, session)
        self._queue = ChannelQueue(closes_at=time.monotonic() + seconds)
        self._allow_loopback_http = allow_loopback_http
        # Why Discord was away in an earlier pass, and is in this one, else "".
        self._was_away = self._is_away = ""
        self._outage = OutageWatch[_Sent](one_server=True, reached=self._reached)

    def run(self, channels: list[Channel]) -> PassResult:
        """Send until nothing is due, the rest must wait too long, or a stop is requested.

        Details of the result: ``delivered``; ``rate_limited`` answers; and notifications not
        attempted: ``skipped`` (channel inactive or deleted), ``unreachable`` (webhook gone or
        refused) and ``left`` for the next pass. Raises RemoteAway while Discord is away.
        """
        self._queue_channels(channels)
        with (
            closing(Discord(config.egress(self._pass.settings))) as remote,
            _Pool(lambda one: remote.post(one.message), SENDERS, "discord") as pool,
        ):
            try:
                self._send(pool)
            finally:
                # After an error requests may be in flight; they must end before the next pass.
                if not self._pass.stopping():
                    list(pool.last(STOP_SECONDS))
        self._conclude()
        left = sum(channel.left for channel in channels)
        self._records.count(left=left)
        if left and self._pass.stopping():
            return replace(self._records.total, complete=False)
        if self._is_away:
            raise RemoteAway(self._explanation(left))
        unsent_notifications.forget_set_aside(self._session)
        return self._records.total

    def _queue_channels(self, channels: list[Channel]) -> None:
        """Queue the channels that may be called; for the others, count and explain what waits."""
        quiet = due_notifications.load_limits(self._session, channels)
        self._queue.pause_until(quiet.until)
        if quiet.reason:
            self._was_away = quiet.reason
            self._outage.most_before_answer = 1
            self._is_away = quiet.reason if quiet.until > time.monotonic() else ""
        for channel in channels:
            if not channel.is_open:
                self._records.count(skipped=channel.left)
                channel.left = 0
            elif channel.gone_reason is not None:
                self._records.leave_unsent(channel, channel.gone_reason)
            else:
                self._queue.add(channel)

    def _send(self, pool: _Pool) -> None:
        while not self._pass.stopping():
            self._submit(pool)
            seconds = self._queue.seconds_until_next()
            if pool.in_flight:
                tick = min(seconds, _TICK_SECONDS) if self._may_ask(pool) else _TICK_SECONDS
                self._record(pool.finished(tick))
            elif seconds > _TICK_SECONDS and self._outage.held and not self._is_away:
                self._conclude()  # during a long wait no other channel can answer
            elif seconds < math.inf and self._may_ask(pool):
                self._pass.wait(min(seconds, _PROGRESS_SECONDS))
                self._pass.report_progress()
            else:
                return
        self._record(pool.last(STOP_SECONDS))

    def _may_ask(self, pool: _Pool) -> bool:
        ends = bool(self._is_away) or pool.is_full
        return not ends and self._outage.may_ask(pool.in_flight)

    def _submit(self, pool: _Pool) -> None:
        """Give every free thread a message, as far as the limits allow."""
        while self._may_ask(pool) and (channel := self._queue.pop()):
            if notification := self._next(channel):
                self._queue.count_request()
                pool.submit(notification)

    def _next(self, channel: Channel) -> Notification | None:
        """The next notification of this channel; None if nothing is due or the worker stops."""
        while not self._pass.stopping():
            notification = due_notifications.take_next(self._session, channel)
            if notification is None:
                channel.left = 0
                return None
            with RowGuard() as guard:
                row = due_notifications.read(self._session, channel, notification)
                if row and (built := self._message(channel, row)):
                    return Notification(channel, row, built)
            if guard.error:
                # Without a row this must succeed; if it fails, the row is not the cause.
                due_notifications.read(self._session, channel, None)
                self._records.set_aside(channel, notification, guard.error)
        return None

    def _message(self, channel: Channel, row: DictRow) -> Message | None:
        """Build a message; what cannot be built is recorded or ends the calls to the channel."""
        try:
            return message.build(row, allow_loopback_http=self._allow_loopback_http)
        except UnusableUrl as refusal:
            self._records.give_up(channel, f"not sent: {refusal}")
        except UnreadablePayload as error:
            self._records.attempt(channel, row, SendResult(error=str(error)), time.monotonic())
        return None

    def _record(self, sent: Iterable[tuple[Notification, DiscordReply | Exception]]) -> None:
        """Record replies, or errors of our own, and queue their channels again."""
        for notification, reply in sent:
            channel = notification.channel
            if isinstance(reply, Exception):
                channel.limits.count_request(time.monotonic(), None)
                self._records.set_aside(channel, notification.row["id"], reply)
            else:
                channel.limits.count_request(reply.at, reply.bucket)
                self._record_attempts(self._judge(notification, reply))
            # A channel with nothing left is not queued: the pass would wait for its limits.
            if due_notifications.has_next(self._session, channel):
                self._queue.add(channel)
            elif not self._outage.holds(channel.id):
                channel.left = 0

    def _judge(self, notification: Notification, reply: DiscordReply) -> list[_Sent]:
        """The attempts that are now to be recorded."""
        channel, outcome = notification.channel, reply.outcome
        if isinstance(outcome, RateLimited):
            channel.next_ids.appendleft(notification.row["id"])
            self._apply_rate_limit(channel, outcome, reply.at)
            return [] if outcome.ban else self._answered(channel)
        sent = (notification, outcome, reply.at)
        if outcome.away:
            channel.limits.pause_until(reply.at + outcome.retry_after)
            return self._outage.failed(channel.id, sent)
        return [*self._answered(channel), sent]

    def _answered(self, channel: Channel) -> list[_Sent]:
        """Note that Discord works; returns the attempts that are now to be recorded."""
        if self._was_away:
            self._was_away = ""
            quiet = Quiet(self._queue.quiet_until)
            attempt_records.store_quiet(self._session, quiet, time.monotonic())
            _log.info("outage_ended", remote="discord")
        return self._outage.answered(channel.id)

    def _record_attempts(self, attempts: Iterable[_Sent]) -> None:
        for notification, result, at in attempts:
            metrics.RETRIES.labels("notification", "notification").inc()
            self._records.attempt(notification.channel, notification.row, result, at)

    def _apply_rate_limit(self, channel: Channel, limit: RateLimited, at: float) -> None:
        until = at + limit.seconds + MARGIN
        if limit.everywhere:
            why = f"Discord's edge refuses this address: {limit.ban}" if limit.ban else ""
            self._call_nobody(until, at, why)
        else:
            channel.limits.pause_until(until)
        self._records.rate_limit(channel, limit, at)

    def _conclude(self) -> None:
        """Decide whose fault the last failures are."""
        self._record_attempts(self._outage.ended())
        if self._outage.found and not self._is_away:
            _, result, at = self._outage.held[-1]
            wait = max(each.retry_after for _, each, _ in self._outage.held)
            self._call_nobody(at + wait, at, f"Discord is away: {result.error}")

    def _call_nobody(self, until: float, at: float, why: str = "") -> None:
        """Let no pass call Discord before that time; if it is away, ``why`` ends this one."""
        if why and not self._is_away:
            _log.warning("outage_found", remote="discord", reason=why, seconds=round(until - at, 3))
        self._is_away = why or self._is_away
        self._queue.pause_until(until)
        quiet = Quiet(self._queue.quiet_until, self._is_away)
        attempt_records.store_quiet(self._session, quiet, at)

    def _explanation(self, left: int) -> str:
        until = self._session.time(self._queue.quiet_until).replace(microsecond=0, tzinfo=None)
        return (
            f"{self._is_away}; no attempt is counted, {left} notifications wait until it works"
            f" again, and nothing is sent before {until} UTC"
        )

    def _reached(self) -> int:
        """The channels that were reached since the passes fail, which shows that Discord works."""
        since = self._pass.away_since
        return due_notifications.reached_since(self._session, since) if since else 0
