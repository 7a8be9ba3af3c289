"""One pass of webhook-delivery: takes due deliveries, sends them and records their outcomes.

If several receivers fail and none answers, it is an outage of this machine's network: no attempt
is counted, the deliveries are given back, and the pass ends and fails.

A delivery that fails by an error, other than a fault of the database server, is set aside with the
reason, for all machines and passes; the others go on.
"""

import math
import time
from collections.abc import Iterable
from contextlib import suppress
from datetime import datetime, timedelta
from uuid import UUID

import psycopg

from common import failpoints, metrics
from common.database.error_classification import contended, reason
from common.database.failed_rows import FIRST_DELAY
from common.database.row_guard import RowGuard
from common.errors import RemoteAway
from common.logging import logs
from common.remote.outage import OutageWatch
from common.remote.thread_pool import ThreadPool
from common.scheduling import Pass, PassResult
from common.scheduling.due.lateness import Lateness
from workers.webhook.delivery_rows import DeliveryRows
from workers.webhook.host_queue import HostQueue
from workers.webhook.http_delivery import attempt
from workers.webhook.http_delivery.attempt import Attempt, Delivery, hide
from workers.webhook.http_delivery.delivery_client import DeliveryClient
from workers.webhook.http_delivery.retry_decision import (
    RetryDecision,
    asked_wait,
    decide,
    error_of,
    is_away,
)
from workers.webhook.metrics import DELIVERY_FAILURES, OVERTAKEN

_log = logs.logger(__name__)

# Added to the timeout: time to record the outcome when the database is slow.
LEASE_MARGIN = timedelta(seconds=15)
# A delivery that was sent, or may have been, and cannot be recorded is sent again once a day. One
# that its receiver has accepted is never sent again.
SET_ASIDE_FOR = timedelta(days=1)
SET_ASIDE_DELIVERED_FOR = timedelta(days=36_500)
# The delivery was sent: recording it is worth waiting for another transaction's lock.
RECORD_TRIES = 3
# The oldest that the list of due deliveries may be while senders are idle.
REREAD_SECONDS = 5.0
# The interval of checks for a stop while requests are in flight, and the time that they get then:
# a worker must end within 10 s after the signal.
TICK_SECONDS = 0.2
GRACE_SECONDS = 4.0


class DeliveryPass:
    """Sends due deliveries until nothing is due."""

    def __init__(
        self, current: Pass, client: DeliveryClient, *, senders: int, max_attempts: int
    ) -> None:
        self._pass = current
        self._max_attempts = max_attempts
        self._rows = DeliveryRows(current, timedelta(seconds=client.timeout) + LEASE_MARGIN)
        self._waiting = HostQueue()
        self._reread_at = -math.inf
        # Fewer receivers that are dead are usual.
        self._outage = OutageWatch[Attempt](one_server=False, reached=self._reached)
        self._pool: ThreadPool[Delivery, Attempt] = ThreadPool(
            lambda delivery: attempt.make(delivery, client), senders, "webhook-sender"
        )
        self._total = PassResult()

    def run(self) -> PassResult:
        """Returns what was done; incomplete if the worker is to stop. Raises RemoteAway if there is
        an outage."""
        with self._pool:
            while not self._pass.stopping():
                self._start()
                if not self._pool.in_flight:
                    self._conclude()
                    return self._total
                self._pass.report_progress()
                self._finish(self._pool.finished(TICK_SECONDS))
            self._finish(self._pool.last(GRACE_SECONDS))
        with suppress(RemoteAway):
            self._conclude()
        return self._total + PassResult(complete=False)

    def _start(self) -> None:
        """Start deliveries until the pool is full or no host is free."""
        while self._may_start and (delivery := self._next()):
            failpoints.reach("claimed")
            self._waiting.started(delivery.host)
            self._pool.submit(delivery)

    @property
    def _may_start(self) -> bool:
        return not self._pool.is_full and self._outage.may_ask(self._pool.in_flight)

    def _next(self) -> Delivery | None:
        """Take the next delivery whose host is free; None if there is none now."""
        if self._waiting.free_host is None:
            self._find()
        while not self._pass.stopping() and (row := self._waiting.pop()):
            if delivery := self._take(row):
                return delivery
        return None

    def _find(self) -> None:
        """Read again what is due; while requests are in flight, only every REREAD_SECONDS."""
        if not self._pool.in_flight or time.monotonic() >= self._reread_at:
            self._waiting.refill(self._rows.find())
            self._reread_at = time.monotonic() + REREAD_SECONDS

    def _take(self, row: UUID) -> Delivery | None:
        with RowGuard() as guard:
            return self._rows.take(row)
        if guard.error:
            self._set_aside(row, f"not taken: {reason(guard.error)}")
        return None

    def _finish(self, results: Iterable[tuple[Delivery, Attempt | Exception]]) -> None:
        for delivery, sent in results:
            self._waiting.ended(delivery.host)
            if isinstance(sent, Exception):
                self._undone(delivery, sent, "not sent")
            else:
                self._record_all(self._judge(sent))
        if self._outage.holds(*self._waiting.hosts):
            # No other host can show whose fault it is.
            self._record_all(self._outage.ended())

    def _judge(self, sent: Attempt) -> list[Attempt]:
        """The attempts that are now to be recorded."""
        if is_away(sent.reply):
            return self._outage.failed(sent.delivery.host, sent)
        if sent.reply.refused:
            return [sent]
        return [*self._outage.answered(sent.delivery.host), sent]

    def _conclude(self) -> None:
        """Decide whose fault the last failures are. Raises RemoteAway if it is an outage."""
        self._record_all(self._outage.ended())
        if not self._outage.found:
            return
        held = self._outage.held
        for each in held:
            self._release(each)
        why = hide(error_of(held[-1].reply), *held[-1].delivery.secrets)
        hosts = self._outage.destinations
        _log.warning("outage_found", remote="webhook", reason=why, hosts=hosts)
        raise RemoteAway(
            f"{hosts} receivers failed and none answered, the last one by: {why}; no attempt is"
            " counted. Check the network and the DNS of this machine"
        )

    def _release(self, sent: Attempt) -> None:
        wait = asked_wait(sent.reply, self._rows.now()) or timedelta(0)
        with RowGuard() as guard:
            self._rows.release(sent.delivery, wait)
            self._add(PassResult(details={"excused": 1}))
        if guard.error:
            self._undone(sent.delivery, guard.error, "not given back")

    def _reached(self) -> int:
        """The hosts that were reached since the passes fail, which shows that the network works."""
        since = self._pass.away_since
        return self._rows.reached(since, self._pass.now) if since else 0

    def _record_all(self, attempts: Iterable[Attempt]) -> None:
        for sent in attempts:
            with RowGuard() as guard:
                self._record(sent)
            if guard.error and sent.reply.is_success:
                what = "delivered, but not recorded"
                self._undone(sent.delivery, guard.error, what, SET_ASIDE_DELIVERED_FOR)
            elif guard.error:
                self._undone(sent.delivery, guard.error, "not recorded")

    def _record(self, sent: Attempt) -> None:
        now, number = self._rows.now(), sent.delivery.attempt
        outcome = decide(sent.reply, attempt=number, max_attempts=self._max_attempts, now=now)
        if self._write(sent, outcome, now):
            self._add(_counted(sent, outcome))
        else:
            self._explain_drop(sent.delivery)

    def _explain_drop(self, delivery: Delivery) -> None:
        """Log and count an outcome that is not recorded, for another process has the delivery."""
        fields = {**_ids(delivery), "status": self._rows.status(delivery.id)}
        if self._rows.now() > delivery.lease:
            _log.warning("lease_lost", **fields, reason="it had run out")
            self._add(PassResult(details={"dropped": 1}))
        else:
            why = "another process finished it meanwhile; does the live pool run, too?"
            _log.warning("lease_ignored", **fields, reason=why)
            self._add(PassResult(details={OVERTAKEN: 1}))

    def _write(self, sent: Attempt, outcome: RetryDecision, now: datetime) -> bool:
        for _ in range(RECORD_TRIES - 1):
            try:
                return self._rows.record(sent, outcome, now)
            except psycopg.Error as error:
                if not contended(error) or self._pass.stopping():
                    raise
        return self._rows.record(sent, outcome, now)

    def _undone(
        self, delivery: Delivery, error: Exception, what: str, delay: timedelta = SET_ASIDE_FOR
    ) -> None:
        """Set a delivery aside for so long, with what was not done and why."""
        self._set_aside(delivery.id, hide(f"{what}: {reason(error)}", *delivery.secrets), delay)

    def _set_aside(self, row: UUID, failure: str, first_delay: timedelta = FIRST_DELAY) -> None:
        stored = self._rows.set_aside(row, failure, first_delay)
        _log.error("row_failed", table="webhook_deliveries", row_id=row, reason=stored)
        self._add(PassResult(failed=1, note=f"webhook_deliveries {row}: {stored}"))

    def _add(self, done: PassResult) -> None:
        self._total += done
        self._pass.report_progress(done)


def _counted(sent: Attempt, outcome: RetryDecision) -> PassResult:
    """Log and count an attempt that is recorded."""
    delivery, reply = sent.delivery, sent.reply
    if reply.refused:
        _log.warning("delivery_refused", **_ids(delivery), reason=reply.error)
    _log.debug(
        "attempt_recorded", **_ids(delivery), status=outcome.status, http_status=reply.status
    )
    if delivery.attempt > 1:
        metrics.RETRIES.labels("webhook", "delivery").inc()
    if outcome.retry_after:
        metrics.rate_limited("webhook", "webhook", outcome.retry_after.total_seconds())
    if not reply.is_success:
        DELIVERY_FAILURES.labels("webhook").inc()
    detail = "delivered" if reply.is_success else "undelivered"
    return PassResult(1, details={detail: 1}, lateness=Lateness.of(delivery.late))


def _ids(delivery: Delivery) -> dict[str, UUID]:
    return {"delivery_id": delivery.id, "webhook_id": delivery.webhook_id}
