"""One pass of notification-retry: who is called when, and what is done with the answer.

The pass's own thread chooses and records; a bounded number of sender threads only talk to
Discord. A channel is with at most one of them at a time, and goes back into the queue by the
time at which its webhook may be called again, so that no sender ever sleeps on a limit.
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
from common.scheduling.scheduler import Pass, PassResult
from workers.notification import rate_limits
from workers.notification.attempt_records import AttemptRecords, gone_reason
from workers.notification.discord import Discord, DiscordReply, RateLimited, SendResult, UnusableUrl
from workers.notification.discord_message import DiscordMessage, build_message
from workers.notification.due_notifications import Channel, DueNotifications
from workers.notification.embed import UnreadablePayload
from workers.notification.unsent_notifications import UnsentNotifications

_log = logs.logger(__name__)

# At the usual 0.3 s a request, as many as the 50 requests a second for all webhooks can feed.
SENDERS = 16
# A stop waits this long for answers that are under way; a worker has 10 s for all of its stop.
STOP_SECONDS = 4.0
# The longest pauses between two looks at the stop, and between two signs of life.
_LOOK_SECONDS = 1.0
_SIGN_OF_LIFE_SECONDS = 30.0


class RetryPass:
    """Sends what is due, for at most ``seconds``; one object is one pass.

    A request that has begun is waited for, so a pass may end as much as its timeout later.
    """

    def __init__(
        self, current: Pass, due: DueNotifications, *, seconds: float, allow_loopback_http: bool
    ) -> None:
        self._pass = current
        self._deadline = time.monotonic() + seconds
        self._allow_loopback_http = allow_loopback_http
        self._clock = rate_limits.PassClock(current.now)
        self._due = due
        self._unsent = UnsentNotifications(current.connection, due.parameters, self._clock)
        self._records = AttemptRecords(
            current.connection, due.parameters, self._clock, self._unsent
        )
        self._queue: list[tuple[float, datetime, UUID, Channel]] = []
        self._everybody = rate_limits.Window(rate_limits.ALTOGETHER)
        self._quiet_until = 0.0
        self._under_way: dict[Future[DiscordReply], DiscordMessage] = {}
        self._done: queue.SimpleQueue[Future[DiscordReply]] = queue.SimpleQueue()
        self._stop_at: float | None = None
        nothing = {"delivered": 0, "rate_limited": 0, "skipped": 0, "unreachable": 0, "left": 0}
        self._total = PassResult(details=nothing)

    def run(self, channels: list[Channel]) -> PassResult:
        """Send until nothing is due, the rest must wait too long, or a stop is asked for.

        Details of the result: ``delivered``; ``rate_limited`` answers; and notifications not
        attempted: ``skipped`` (channel inactive or deleted), ``unreachable`` (webhook gone or
        refused) and ``left`` for the next pass.
        """
        self._open(channels)
        remote = Discord()
        senders = ThreadPoolExecutor(SENDERS, thread_name_prefix="discord")
        try:
            self._send(senders, remote)
        finally:
            # After an error some may be under way; the next pass must not meet them.
            if not self._pass.stopping():
                wait(self._under_way, STOP_SECONDS)
            remote.close()
            senders.shutdown()
        left = sum(channel.left for channel in channels)
        self._count(left=left)
        if left and self._pass.stopping():
            return replace(self._total, complete=False)
        self._unsent.forget_set_aside()
        return self._total

    def _open(self, channels: list[Channel]) -> None:
        """Queue the channels that may be called; of the others, count and say what waits."""
        self._quiet_until = self._due.load_paces(channels, self._clock)
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
            self._hand_out(senders, remote)
            if self._under_way:
                if self._stop_is_overdue():
                    return
                self._collect()
            elif self._may_choose() and self._queue and self._next_at() < self._deadline:
                self._pass.wait(min(self._until_next(), _SIGN_OF_LIFE_SECONDS))
                self._pass.report_progress()
            else:
                return

    def _hand_out(self, senders: ThreadPoolExecutor, remote: Discord) -> None:
        """Give every free sender a notification, as far as the limits allow it now."""
        while self._may_hand_out() and self._until_next() <= 0:
            message = self._next_task(heapq.heappop(self._queue)[-1])
            if message:
                self._everybody.add(time.monotonic())
                future = senders.submit(remote.post, message.webhook, message.embed)
                self._under_way[future] = message
                future.add_done_callback(self._done.put)

    def _next_task(self, channel: Channel) -> DiscordMessage | None:
        """What to send to this channel next; None if that is nothing, now or ever."""
        while (notification := self._due.next(channel)) is not None:
            if self._pass.stopping():
                return None
            with self._blaming(channel, notification):
                row = self._due.read(channel, notification)
                if row is None:
                    continue
                try:
                    return build_message(
                        channel, row, allow_loopback_http=self._allow_loopback_http
                    )
                except UnusableUrl as refusal:
                    self._give_up(channel, f"not sent: {refusal}")
                    return None
                except UnreadablePayload as error:
                    self._record(channel, row, SendResult(error=str(error)), time.monotonic())
        channel.left = 0
        return None

    @contextmanager
    def _blaming(self, channel: Channel, notification: UUID) -> Iterator[None]:
        """Go on where the block fails, whatever it meets, and set this notification aside."""
        with RowGuard() as guard:
            yield
        if guard.error:
            # Without any row it must succeed, or no row is to blame.
            self._due.read(channel, None)
            why = f"not sent: {reason(guard.error)}"
            self._add(self._unsent.set_aside(notification, why, time.monotonic()), of=channel)

    def _collect(self) -> None:
        """Wait for one answer, but no longer than until something else can be done."""
        seconds = min(self._until_next(), _LOOK_SECONDS) if self._may_hand_out() else _LOOK_SECONDS
        with suppress(queue.Empty):
            future = self._done.get(timeout=max(0.0, seconds))
            message = self._under_way.pop(future)
            reply = None
            with self._blaming(message.channel, message.row["id"]):
                reply = future.result()
            self._answered(message, reply)

    def _answered(self, message: DiscordMessage, reply: DiscordReply | None) -> None:
        """Record the reply, and let the channel have its next turn; None if sending failed."""
        channel = message.channel
        if reply is None:
            channel.limits.answered(time.monotonic(), None)
        elif isinstance(reply.outcome, RateLimited):
            channel.limits.answered(reply.at, reply.bucket)
            channel.next_ids.appendleft(message.row["id"])
            self._apply_rate_limit(channel, reply.outcome, reply.at)
        else:
            channel.limits.answered(reply.at, reply.bucket)
            metrics.RETRIES.labels("notification", "notification").inc()
            self._record(channel, message.row, reply.outcome, reply.at)
            if reply.outcome.permanent:
                self._give_up(channel, gone_reason(reply.outcome))
                return
        # Not to wait for the limits of a channel only to find that nothing is left.
        if self._due.has_next(channel):
            self._enqueue(channel)
        else:
            channel.left = 0

    def _record(self, channel: Channel, row: DictRow, attempt: SendResult, at: float) -> None:
        self._add(self._records.attempt(channel, row, attempt, at), of=channel)

    def _apply_rate_limit(self, channel: Channel, embargo: RateLimited, at: float) -> None:
        until = at + embargo.seconds + rate_limits.MARGIN
        if embargo.everywhere:
            self._quiet_until = max(self._quiet_until, until)
            self._records.keep_quiet_everywhere(self._quiet_until)
        else:
            channel.limits.be_quiet(until)
        self._records.keep_pace(channel, at)
        self._count(rate_limited=1)
        metrics.rate_limited("notification", "discord", embargo.seconds)
        _log.info(
            "rate_limited",
            channel_id=channel.id,
            channel=channel.name,
            seconds=round(embargo.seconds, 3),
            everywhere=embargo.everywhere,
        )

    def _give_up(self, channel: Channel, reason: str) -> None:
        """Call this channel no more."""
        _log.warning(
            "channel_unreachable",
            channel_id=channel.id,
            channel=channel.name,
            waiting=channel.left,
            reason=reason,
        )
        self._leave_unsent(channel, reason)

    def _leave_unsent(self, channel: Channel, reason: str) -> None:
        """Let what waits for this channel say why."""
        done = self._unsent.explain(channel, reason, time.monotonic())
        self._add(done)
        self._count(unreachable=max(0, channel.left - done.failed))
        channel.left = 0

    def _enqueue(self, channel: Channel) -> None:
        entry = (channel.limits.ready_at, channel.oldest, channel.id, channel)
        heapq.heappush(self._queue, entry)

    def _may_choose(self) -> bool:
        return not self._pass.stopping() and time.monotonic() < self._deadline

    def _may_hand_out(self) -> bool:
        return bool(self._queue) and len(self._under_way) < SENDERS and self._may_choose()

    def _next_at(self) -> float:
        """When the first channel of the queue may be called."""
        return max(self._queue[0][0], self._everybody.free_at, self._quiet_until)

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
            of.left = max(0, of.left - 1)  # more may have come since they were counted
        self._total += done
        self._pass.report_progress(done)
