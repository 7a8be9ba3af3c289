"""One pass of notification-retry: which channel is called when, and what its reply changes.

The pass's own thread chooses and records; a bounded number of sender threads only call Discord.
A channel has at most one request in flight, and goes back into the queue with the time at which
its webhook may be called again, so no sender waits for a rate limit.
"""

import heapq
import queue
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import datetime
from uuid import UUID

from psycopg.rows import DictRow

from common import metrics
from common.database.error_classification import reason
from common.database.row_guard import RowGuard
from common.logging import logs
from common.scheduling import Pass, PassResult
from workers.notification import rate_limits
from workers.notification.attempt_records import AttemptRecords, gone_reason
from workers.notification.discord import Discord, DiscordReply, RateLimited, SendResult, UnusableUrl
from workers.notification.discord_message import DiscordMessage, build_message
from workers.notification.due_notifications import Channel, DueNotifications
from workers.notification.embed import UnreadablePayload
from workers.notification.unsent_notifications import UnsentNotifications

_log = logs.logger(__name__)

# At the usual 0.3 s a request, enough for Discord's global limit of 50 requests a second.
SENDERS = 16
# A stop waits this long for requests in flight; a worker has 10 s for all of its stop.
STOP_SECONDS = 4.0
# The longest waits between two checks for a stop, and between two reports of progress.
_TICK_SECONDS = 1.0
_PROGRESS_SECONDS = 30.0


class RetryPass:
    """Sends the due notifications, for at most ``seconds``; one object is one pass.

    A pass waits for its requests in flight, so it may end later, by at most their timeout.
    """

    def __init__(
        self, current: Pass, due: DueNotifications, *, seconds: float, allow_loopback_http: bool
    ) -> None:
        self._pass = current
        self._deadline = time.monotonic() + seconds
        self._allow_loopback_http = allow_loopback_http
        self._due = due
        session, clock = current.connection, rate_limits.PassClock(current.now)
        self._clock = clock
        self._unsent = UnsentNotifications(session, due.parameters, clock)
        self._records = AttemptRecords(session, due.parameters, clock, self._unsent)
        self._queue: list[tuple[float, datetime, UUID, Channel]] = []
        self._all_requests = rate_limits.RequestWindow(rate_limits.GLOBAL)
        self._quiet_until = 0.0
        self._in_flight: dict[Future[DiscordReply], DiscordMessage] = {}
        self._done: queue.SimpleQueue[Future[DiscordReply]] = queue.SimpleQueue()
        self._stop_at: float | None = None
        zeros = {"delivered": 0, "rate_limited": 0, "skipped": 0, "unreachable": 0, "left": 0}
        self._total = PassResult(details=zeros)

    def run(self, channels: list[Channel]) -> PassResult:
        """Send until nothing is due, the rest must wait too long, or a stop is requested.

        Details of the result: ``delivered``; ``rate_limited`` answers; and notifications not
        attempted: ``skipped`` (channel inactive or deleted), ``unreachable`` (webhook gone or
        refused) and ``left`` for the next pass.
        """
        self._queue_channels(channels)
        remote = Discord()
        senders = ThreadPoolExecutor(SENDERS, thread_name_prefix="discord")
        try:
            self._send(senders, remote)
        finally:
            # After an error requests may be in flight; they must end before the next pass.
            if not self._pass.stopping():
                wait(self._in_flight, STOP_SECONDS)
            remote.close()
            senders.shutdown()
        left = sum(channel.left for channel in channels)
        self._count(left=left)
        if left and self._pass.stopping():
            return replace(self._total, complete=False)
        self._unsent.forget_set_aside()
        return self._total

    def _queue_channels(self, channels: list[Channel]) -> None:
        """Queue the channels that may be called; for the others, count and explain what waits."""
        self._quiet_until = self._due.load_limits(channels, self._clock)
        for channel in channels:
            if not channel.is_open:
                self._count(skipped=channel.left)
                channel.left = 0
            elif channel.gone_reason is not None:
                self._leave_unsent(channel, channel.gone_reason)
            else:
                self._enqueue(channel)

    def _send(self, senders: ThreadPoolExecutor, remote: Discord) -> None:
        while True:
            self._start_sends(senders, remote)
            if self._in_flight:
                if self._stop_is_overdue():
                    return
                self._collect()
            elif self._may_start() and self._queue and self._next_at() < self._deadline:
                self._pass.wait(min(self._until_next(), _PROGRESS_SECONDS))
                self._pass.report_progress()
            else:
                return

    def _start_sends(self, senders: ThreadPoolExecutor, remote: Discord) -> None:
        """Give every free sender a notification, as far as the limits allow."""
        while self._may_send() and self._until_next() <= 0:
            message = self._next_message(heapq.heappop(self._queue)[-1])
            if message:
                self._all_requests.add(time.monotonic())
                future = senders.submit(remote.post, message.webhook, message.embed)
                self._in_flight[future] = message
                future.add_done_callback(self._done.put)

    def _next_message(self, channel: Channel) -> DiscordMessage | None:
        """The next message for this channel; None if nothing is due or the worker stops."""
        while (notification := self._due.next(channel)) is not None:
            if self._pass.stopping():
                return None
            with self._set_aside_on_error(channel, notification):
                row = self._due.read(channel, notification)
                if row is None:
                    continue
                try:
                    return build_message(channel, row, self._allow_loopback_http)
                except UnusableUrl as refusal:
                    self._give_up(channel, f"not sent: {refusal}")
                    return None
                except UnreadablePayload as error:
                    self._record(channel, row, SendResult(error=str(error)), time.monotonic())
        channel.left = 0
        return None

    @contextmanager
    def _set_aside_on_error(self, channel: Channel, notification: UUID) -> Iterator[None]:
        """Set this notification aside if the block fails, and go on."""
        with RowGuard() as guard:
            yield
        if guard.error:
            # Without a row this must succeed; if it fails, the row is not the cause.
            self._due.read(channel, None)
            why = f"not sent: {reason(guard.error)}"
            self._add(self._unsent.set_aside(notification, why, time.monotonic()), of=channel)

    def _collect(self) -> None:
        """Handle one reply; wait for it only until another notification can be sent."""
        seconds = min(self._until_next(), _TICK_SECONDS) if self._may_send() else _TICK_SECONDS
        with suppress(queue.Empty):
            future = self._done.get(timeout=max(0.0, seconds))
            message = self._in_flight.pop(future)
            reply = None
            with self._set_aside_on_error(message.channel, message.row["id"]):
                reply = future.result()
            self._handle_reply(message, reply)

    def _handle_reply(self, message: DiscordMessage, reply: DiscordReply | None) -> None:
        """Record the reply and queue the channel again; None if sending raised an error."""
        channel = message.channel
        if reply is None:
            channel.limits.count_request(time.monotonic(), None)
        elif isinstance(reply.outcome, RateLimited):
            channel.limits.count_request(reply.at, reply.bucket)
            channel.next_ids.appendleft(message.row["id"])
            self._apply_rate_limit(channel, reply.outcome, reply.at)
        else:
            channel.limits.count_request(reply.at, reply.bucket)
            metrics.RETRIES.labels("notification", "notification").inc()
            self._record(channel, message.row, reply.outcome, reply.at)
            if reply.outcome.permanent:
                self._give_up(channel, gone_reason(reply.outcome))
                return
        # A channel with nothing left is not queued: the pass would wait for its limits.
        if self._due.has_next(channel):
            self._enqueue(channel)
        else:
            channel.left = 0

    def _record(self, channel: Channel, row: DictRow, attempt: SendResult, at: float) -> None:
        self._add(self._records.attempt(channel, row, attempt, at), of=channel)

    def _apply_rate_limit(self, channel: Channel, limit: RateLimited, at: float) -> None:
        until = at + limit.seconds + rate_limits.MARGIN
        if limit.everywhere:
            self._quiet_until = max(self._quiet_until, until)
            self._records.store_global_pause(self._quiet_until)
        else:
            channel.limits.pause_until(until)
        self._records.store_limits(channel, at)
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
        explained = self._unsent.explain(channel, reason, time.monotonic())
        self._add(explained)
        self._count(unreachable=max(0, channel.left - explained.failed))
        channel.left = 0

    def _enqueue(self, channel: Channel) -> None:
        heapq.heappush(self._queue, (channel.limits.ready_at, channel.oldest, channel.id, channel))

    def _may_start(self) -> bool:
        return not self._pass.stopping() and time.monotonic() < self._deadline

    def _may_send(self) -> bool:
        return bool(self._queue) and len(self._in_flight) < SENDERS and self._may_start()

    def _next_at(self) -> float:
        """When the first channel in the queue may be called."""
        return max(self._queue[0][0], self._all_requests.free_at, self._quiet_until)

    def _until_next(self) -> float:
        return max(0.0, self._next_at() - time.monotonic())

    def _stop_is_overdue(self) -> bool:
        if self._stop_at is None and self._pass.stopping():
            self._stop_at = time.monotonic() + STOP_SECONDS
        return self._stop_at is not None and time.monotonic() > self._stop_at

    def _count(self, **details: int) -> None:
        self._add(PassResult(details=details))

    def _add(self, done: PassResult, *, of: Channel | None = None) -> None:
        if of:
            of.left = max(0, of.left - 1)  # new ones may wait since they were counted
        self._total += done
        self._pass.report_progress(done)
