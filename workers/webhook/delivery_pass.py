"""One pass of webhook-delivery: takes due deliveries, sends them and records their outcomes.

A delivery that fails by an error, other than a fault of the database server, is set aside with the
reason, for all machines and passes; the others go on.
"""

import math
import time
from datetime import datetime, timedelta
from uuid import UUID

import psycopg

from common import failpoints, metrics
from common.config import Network
from common.database import failed_rows
from common.database.error_classification import contended, reason
from common.database.row_guard import RowGuard
from common.logging import logs
from common.scheduling import Pass, PassResult
from workers.webhook.delivery_rows import DeliveryRows
from workers.webhook.http_delivery import attempt
from workers.webhook.http_delivery.attempt import Attempt, Delivery, hide
from workers.webhook.http_delivery.delivery_client import DeliveryClient
from workers.webhook.http_delivery.retry_decision import RetryDecision, decide
from workers.webhook.http_delivery.ssrf_guard import SsrfGuard
from workers.webhook.metrics import DELIVERY_FAILURES
from workers.webhook.sender_pool import HostQueue, SenderPool

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
        self,
        current: Pass,
        *,
        timeout: timedelta,
        senders: int,
        max_attempts: int,
        allowed_networks: tuple[Network, ...],
    ) -> None:
        self._pass = current
        self._started_at = time.monotonic()
        self._lease = timeout + LEASE_MARGIN
        self._max_attempts = max_attempts
        client = DeliveryClient(SsrfGuard(allowed_networks), timeout.total_seconds())
        self._pool: SenderPool[Delivery, Attempt | Exception] = SenderPool(
            lambda delivery: _sent(delivery, client), senders
        )
        self._rows = DeliveryRows(current.connection, current.scheduler)
        self._waiting = HostQueue()
        self._found_at = -math.inf
        self._total = PassResult()

    def run(self) -> PassResult:
        while not self._pass.stopping():
            self._start()
            if not self._pool.in_flight:
                return self._total
            self._record_finished(TICK_SECONDS)
        deadline = time.monotonic() + GRACE_SECONDS
        while self._pool.in_flight and (left := deadline - time.monotonic()) > 0:
            self._record_finished(min(left, TICK_SECONDS))
        return self._total + PassResult(complete=False)

    def _now(self) -> datetime:
        """The database's time: rows become due while a pass waits for receivers."""
        return self._pass.now + timedelta(seconds=time.monotonic() - self._started_at)

    def _start(self) -> None:
        """Start deliveries until the pool is full or no host is free."""
        while not self._pool.is_full and (delivery := self._next()):
            self._pool.start(delivery)

    def _next(self) -> Delivery | None:
        """Take the next delivery whose host is free; None if there is none now."""
        if not self._waiting.has_any(self._pool.is_free):
            self._find()
        while not self._pass.stopping():
            row = self._waiting.pop(self._pool.is_free)
            if row is None:
                break
            if delivery := self._take(row):
                failpoints.reach("claimed")
                return delivery
        return None

    def _find(self) -> None:
        """Read again what is due; while requests are in flight, only every REREAD_SECONDS."""
        if self._pool.in_flight and time.monotonic() - self._found_at < REREAD_SECONDS:
            return
        self._waiting.refill(self._rows.find(self._now()))
        self._found_at = time.monotonic()

    def _take(self, row: UUID) -> Delivery | None:
        taken = None
        with RowGuard() as guard:
            taken = self._rows.take(row, self._now(), self._lease)
        if guard.error:
            self._set_aside(row, f"not taken: {_describe(guard.error)}")
        return taken

    def _record_finished(self, seconds: float) -> None:
        self._pass.report_progress()
        for delivery, sent in self._pool.finished(seconds):
            if isinstance(sent, Exception):
                reason = f"not sent: {_describe(sent, delivery)}"
                self._set_aside(delivery.id, reason, SET_ASIDE_FOR)
                continue
            with RowGuard() as guard:
                self._record(sent)
            if guard.error:
                delivered = sent.reply.is_success
                self._set_aside(
                    delivery.id,
                    f"{'delivered, but ' if delivered else ''}not recorded:"
                    f" {_describe(guard.error, delivery)}",
                    SET_ASIDE_DELIVERED_FOR if delivered else SET_ASIDE_FOR,
                )

    def _record(self, sent: Attempt) -> None:
        delivery, reply, now = sent.delivery, sent.reply, self._now()
        outcome = decide(reply, attempt=delivery.attempt, max_attempts=self._max_attempts, now=now)
        ids = {"delivery_id": delivery.id, "webhook_id": delivery.webhook_id}
        if not self._write(sent, outcome, now):
            _log.warning("lease_lost", **ids, reason="the lease had run out")
            self._add(PassResult(details={"dropped": 1}))
            return
        if reply.refused:
            _log.warning("destination_refused", **ids, reason=reply.error)
        _log.debug("attempt_recorded", **ids, status=outcome.status, http_status=reply.status)
        if delivery.attempt > 1:
            metrics.RETRIES.labels("webhook", "delivery").inc()
        if outcome.retry_after:
            metrics.rate_limited("webhook", "webhook", outcome.retry_after.total_seconds())
        if outcome.status == "success":
            self._add(PassResult(processed=1, details={"delivered": 1}))
        else:
            DELIVERY_FAILURES.labels("webhook").inc()
            self._add(PassResult(processed=1, details={"undelivered": 1}))

    def _write(self, sent: Attempt, outcome: RetryDecision, now: datetime) -> bool:
        tries = 1
        while True:
            try:
                return self._rows.record(sent, outcome, now)
            except psycopg.Error as error:
                if not contended(error) or tries == RECORD_TRIES or self._pass.stopping():
                    raise
                tries += 1

    def _set_aside(self, row: UUID, reason: str, rest: timedelta | None = None) -> None:
        current = self._pass
        stored = failed_rows.set_aside(
            current.connection, current.scheduler, row, reason, self._now(), rest
        )
        _log.error("row_failed", table="webhook_deliveries", row_id=row, reason=stored)
        self._add(PassResult(failed=1, note=f"webhook_deliveries {row}: {stored}"))

    def _add(self, done: PassResult) -> None:
        self._total += done
        self._pass.report_progress(done)


def _sent(delivery: Delivery, client: DeliveryClient) -> Attempt | Exception:
    """Send a delivery once; return an error of our own, instead of raising it."""
    with RowGuard() as guard:
        return attempt.make(delivery, client)
    return guard.error or RuntimeError("nothing was sent")


def _describe(error: Exception, delivery: Delivery | None = None) -> str:
    """An error in one line, without the secrets of the delivery."""
    return hide(reason(error), *(delivery.secrets if delivery else ()))
