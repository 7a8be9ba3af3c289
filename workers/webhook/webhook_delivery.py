"""webhook-delivery: the delivery pool, for those who do not run the live service's. Off by default.

Due: deliveries in status retrying, not deleted, whose ``next_retry_at`` has come. Changes: where
the webhook is inactive or deleted, ``status`` failed without an attempt. Any other row is taken
by moving ``next_retry_at`` a lease ahead, POSTed once, and then, in one statement, gets its
attempt row, ``status`` success, failed or retrying (outcome.py says when which),
``attempt_count``, ``next_retry_at``, ``last_attempt_at``, ``completed_at`` and ``last_error``,
and its webhook the counters and times. No event.

Any number of machines may share the work: a row is taken when its sending begins, never
earlier, and only while it is due. A crash, and a stop that does not wait for a slow receiver,
leave rows whose lease runs out: they are due again then, and sent a second time under the same
``webhook-id``. An outcome that comes after its lease is dropped if somebody else has taken the
row meanwhile.
"""

import math
import time
from datetime import datetime, timedelta
from uuid import UUID

import psycopg

from common import config, failpoints, logs, metrics, own_tables
from common.database import row_fault
from common.due import backlog, preview
from common.redact import redact
from common.scheduler import Pass, PassResult, Preview, Scheduler
from common.walk import Walk
from workers.webhook import attempt
from workers.webhook.address_guard import AddressGuard
from workers.webhook.attempt import Attempt, Delivery
from workers.webhook.delivery_client import DeliveryClient
from workers.webhook.delivery_rows import IS_ACTIVE, IS_DUE, DeliveryRows
from workers.webhook.outcome import judge
from workers.webhook.sender_pool import HostQueue, SenderPool
from workers.webhook.tables import DELIVERING
from workers.webhook.webhook_retry import MAX_RETRIES

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

# From the start, at 0: an increase from nothing to 1 is none to Prometheus.
_RETRIES = metrics.RETRIES.labels("webhook", "delivery")
_FAILURES = metrics.DELIVERY_FAILURES.labels("webhook")

TIMEOUT = config.duration(
    "WEBHOOK_DELIVERY_TIMEOUT",
    "30s",
    "the longest that one attempt to deliver may take, from name look-up to the last byte",
    minimum="1s",
    maximum="5m",
)
WORKER_COUNT = config.integer(
    "WEBHOOK_WORKER_COUNT", "10", "deliveries that are sent at once", minimum=1, maximum=200
)
ALLOW_PRIVATE_CIDRS = config.networks(
    "WEBHOOK_ALLOW_PRIVATE_CIDRS",
    "",
    "networks that webhooks may lead to although they are not public",
)

# The deliveries that the next pass attempts or gives up, for a dry run.
DUE = f"""
SELECT id, webhook_id, event_type, attempt_count, next_retry_at
FROM webhook_deliveries AS delivery WHERE {IS_DUE}"""

_HAS_INACTIVE_WEBHOOK = f"""
    {IS_DUE} AND id <> ALL (%(failed_rows)s::uuid[])
    AND NOT EXISTS (SELECT FROM webhook_webhooks AS webhook
                    WHERE webhook.id = delivery.webhook_id AND {IS_ACTIVE})"""

# The deliveries whose webhook is gone or inactive.
UNWANTED = f"SELECT id FROM webhook_deliveries AS delivery WHERE {_HAS_INACTIVE_WEBHOOK}"

# Give up one batch of them, in the live pool's words.
GIVE_UP = f"""
WITH due AS (
    SELECT ctid FROM webhook_deliveries AS delivery
    WHERE ctid >= %(first)s::tid AND ctid < %(end)s::tid AND {_HAS_INACTIVE_WEBHOOK}
    FOR UPDATE SKIP LOCKED
), given_up AS (
    UPDATE webhook_deliveries
    SET status = 'failed', next_retry_at = NULL, last_error = 'Webhook is no longer active',
        updated_at = %(now)s
    WHERE ctid = ANY (ARRAY(SELECT ctid FROM due))
    RETURNING id
)
SELECT (SELECT count(*) FROM due) AS found, count(*) AS processed, count(*) AS inactive
FROM given_up"""

INACTIVE = Walk(table="webhook_deliveries", due=UNWANTED, batch=GIVE_UP)


class _Delivering:
    """One pass over what can be sent."""

    def __init__(self, current: Pass) -> None:
        settings = current.settings
        self._pass = current
        self._started_at = time.monotonic()
        self._lease = settings[TIMEOUT] + LEASE_MARGIN
        guard = AddressGuard(settings[ALLOW_PRIVATE_CIDRS])
        client = DeliveryClient(guard, settings[TIMEOUT].total_seconds())
        self._pool: SenderPool[Delivery, Attempt] = SenderPool(
            lambda delivery: attempt.make(delivery, client), settings[WORKER_COUNT]
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
            if not row_fault(error):
                raise
            self._row_failed(row, error)
            return None

    def _record_finished(self, seconds: float) -> None:
        self._pass.committed()
        for delivery, made in self._pool.finished(seconds):
            try:
                self._record(made)
            except psycopg.DatabaseError as error:
                if not row_fault(error):
                    raise
                self._rows.postpone(delivery, self._now(), POSTPONEMENT)
                self._row_failed(delivery.id, error)

    def _record(self, made: Attempt) -> None:
        delivery, reply, now = made.delivery, made.reply, self._now()
        outcome = judge(
            reply,
            attempt=delivery.attempt,
            max_attempts=self._pass.settings[MAX_RETRIES],
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
            _RETRIES.inc()
        if outcome.retry_after:
            metrics.rate_limited("webhook", "webhook", outcome.retry_after.total_seconds())
        if outcome.status == "success":
            self._add(PassResult(processed=1, details={"delivered": 1}))
        else:
            _FAILURES.inc()
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


def run(current: Pass) -> PassResult:
    """Give up what nobody wants any more, then send what is due until nothing is."""
    return INACTIVE.run(current) + _Delivering(current).run()


def _preview(current: Pass) -> Preview:
    return preview(current, DUE, {"now": current.now})


def _backlog(current: Pass, most: int) -> int:
    return backlog(current, DUE, {"now": current.now}, most)


SCHEDULER = Scheduler(
    name="webhook-delivery",
    summary="sends webhook deliveries that are due for another attempt",
    enabled=config.boolean(
        "WEBHOOK_DELIVERY_ENABLED",
        "false",
        "whether deliveries are sent from here; not beside the live service's own pool",
    ),
    interval=config.interval(
        "WEBHOOK_DELIVERY_INTERVAL", "1m", "time from one look for due deliveries to the next"
    ),
    run=run,
    preview=_preview,
    backlog=_backlog,
    settings=(TIMEOUT, WORKER_COUNT, MAX_RETRIES, ALLOW_PRIVATE_CIDRS),
    tables=(*DELIVERING, own_tables.SETTING_ROWS_ASIDE),
)
