"""One pass of webhook-delivery: what is taken when, and what is written down of its outcome."""

import math
import time
from datetime import datetime, timedelta
from uuid import UUID

import psycopg

from common import failpoints, logs, metrics
from common.database_errors import server_fault
from common.redact import redact
from common.scheduler import Pass, PassResult
from common.variables import Network
from workers.webhook import attempt
from workers.webhook.address_guard import AddressGuard
from workers.webhook.attempt import Attempt, Delivery
from workers.webhook.delivery_client import DeliveryClient
from workers.webhook.delivery_rows import DeliveryRows
from workers.webhook.outcome import judge
from workers.webhook.sender_pool import HostQueue, SenderPool

_log = logs.logger(__name__)

# Beyond the timeout, for the outcome to be written down on a slow day of the database.
LEASE_MARGIN = timedelta(seconds=15)
# What the database will not take back: once a day is often enough to send it again.
POSTPONEMENT = timedelta(days=1)
# How old the knowledge of what is due may be while senders are idle.
REREAD_SECONDS = 5.0
# How soon a stop is noticed while receivers keep us waiting, and how long they get then: a
# worker must have ended 10 s after the signal.
TICK_SECONDS = 0.2
GRACE_SECONDS = 4.0


class DeliveryPass:
    """Sends what can be sent, until nothing can."""

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
        client = DeliveryClient(AddressGuard(allowed_networks), timeout.total_seconds())
        self._pool: SenderPool[Delivery, Attempt] = SenderPool(
            lambda delivery: attempt.make(delivery, client), senders
        )
        self._rows = DeliveryRows(current.connection)
        self._waiting = HostQueue()
        self._found_at = -math.inf
        self._failed: set[UUID] = set()
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
        """The database's time: rows go on becoming due while a pass waits for receivers."""
        return self._pass.now + timedelta(seconds=time.monotonic() - self._started_at)

    def _start(self) -> None:
        """Send whatever may be sent now."""
        while not self._pool.is_full and (delivery := self._next()):
            self._pool.start(delivery)

    def _next(self) -> Delivery | None:
        """Take the next delivery whose host is free; None if none can be had at the moment."""
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
        """Look again for what is due, but not all the time while receivers keep us waiting."""
        if self._pool.in_flight and time.monotonic() - self._found_at < REREAD_SECONDS:
            return
        self._waiting.refill(self._rows.find(self._now()))
        self._found_at = time.monotonic()

    def _take(self, row: UUID) -> Delivery | None:
        if row in self._failed:
            return None
        try:
            return self._rows.take(row, self._now(), self._lease)
        except psycopg.DatabaseError as error:
            if server_fault(error):
                raise
            self._row_failed(row, error)
            return None

    def _record_finished(self, seconds: float) -> None:
        self._pass.committed()
        for delivery, made in self._pool.finished(seconds):
            try:
                self._record(made)
            except psycopg.DatabaseError as error:
                if server_fault(error):
                    raise
                self._rows.postpone(delivery, self._now(), POSTPONEMENT)
                self._row_failed(delivery.id, error)

    def _record(self, made: Attempt) -> None:
        delivery, reply, now = made.delivery, made.reply, self._now()
        outcome = judge(
            reply,
            attempt=delivery.attempt,
            max_attempts=self._max_attempts,
            now=now,
        )
        ids = {"delivery_id": delivery.id, "webhook_id": delivery.webhook_id}
        if not self._rows.record(made, outcome, now):
            _log.warning("outcome_dropped", **ids, reason="the lease had run out")
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
            metrics.DELIVERY_FAILURES.labels("webhook").inc()
            self._add(PassResult(processed=1, details={"undelivered": 1}))

    def _row_failed(self, row: UUID, error: psycopg.DatabaseError) -> None:
        reason = redact(f"{type(error).__name__}: {error}")[:500]
        _log.error("row_failed", table="webhook_deliveries", row_id=row, reason=reason)
        note = f"webhook_deliveries {row}: {reason}"
        self._add(PassResult(failed=1, note=note))
        self._failed.add(row)

    def _add(self, done: PassResult) -> None:
        self._total += done
        self._pass.committed(done)
