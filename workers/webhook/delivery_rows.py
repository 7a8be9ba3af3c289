"""The rows of webhook-delivery: finding, taking and writing them down, a statement each."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from common.database_errors import hiding
from common.session import Connection
from workers.webhook.attempt import Attempt, Delivery, hide
from workers.webhook.due import IS_ACTIVE, IS_DUE
from workers.webhook.outcome import Outcome

# Rows to know of at once; there may be millions.
MOST_FOUND = 10_000

# As far as it takes to tell hosts apart; a URL that is refused for its form has no say in it.
_HOST = r"lower(coalesce(substring(webhook.url FROM '^[A-Za-z]+://(\[[^]]*\]|[^/:?#]*)'), ''))"

# Find what is due, without taking it: the first of every host, then the second of each, ...
FIND = f"""
WITH host AS MATERIALIZED (
    SELECT id AS webhook_id, {_HOST} AS name FROM webhook_webhooks AS webhook WHERE {IS_ACTIVE}
), due AS (
    SELECT delivery.id, host.name AS host, delivery.next_retry_at,
           row_number() OVER (PARTITION BY host.name ORDER BY delivery.next_retry_at) AS turn
    FROM webhook_deliveries AS delivery JOIN host USING (webhook_id)
    WHERE {IS_DUE}
)
SELECT host, id FROM due ORDER BY turn, next_retry_at LIMIT %(most)s"""

# Take one delivery, if it still is due and nobody else is taking it.
TAKE = f"""
WITH due AS (
    SELECT id FROM webhook_deliveries AS delivery
    WHERE id = %(id)s AND {IS_DUE}
    FOR UPDATE SKIP LOCKED
)
UPDATE webhook_deliveries AS delivery SET next_retry_at = %(now)s + %(lease)s
FROM webhook_webhooks AS webhook
WHERE delivery.id = (SELECT id FROM due) AND webhook.id = delivery.webhook_id AND {IS_ACTIVE}
RETURNING delivery.id, delivery.webhook_id, delivery.event_type, delivery.event_payload,
          delivery.attempt_count, delivery.next_retry_at AS lease,
          {_HOST} AS host, webhook.url, webhook.secret"""

# Write down one attempt, if the delivery is still ours.
RECORD = """
WITH recorded AS (
    UPDATE webhook_deliveries
    SET status = %(status)s, attempt_count = %(attempt_count)s, last_attempt_at = %(now)s,
        next_retry_at = %(now)s + %(retry_after)s::interval,
        completed_at = CASE WHEN %(completed)s THEN %(now)s ELSE completed_at END,
        last_error = %(error)s, updated_at = %(now)s
    WHERE id = %(id)s AND status = 'retrying'
      AND attempt_count = %(attempt)s - 1 AND next_retry_at = %(lease)s
    RETURNING id, webhook_id
), attempted AS (
    INSERT INTO webhook_delivery_attempts (
        delivery_id, attempt_number, request_url, request_headers, request_body,
        response_status, response_headers, response_body, success, error, duration_ms, created_at)
    SELECT id, %(attempt)s, %(request_url)s, %(request_headers)s, %(request_body)s,
           %(response_status)s, %(response_headers)s, %(response_body)s, %(success)s, %(error)s,
           %(duration_ms)s, %(now)s
    FROM recorded
), counted AS (
    UPDATE webhook_webhooks AS webhook
    SET total_deliveries = total_deliveries + 1, last_delivery_at = %(now)s,
        success_deliveries = success_deliveries + %(success)s::int,
        failed_deliveries = failed_deliveries + (NOT %(success)s)::int,
        last_success_at = CASE WHEN %(success)s THEN %(now)s ELSE last_success_at END,
        last_failure_at = CASE WHEN %(success)s THEN last_failure_at ELSE %(now)s END,
        updated_at = %(now)s
    FROM recorded WHERE webhook.id = recorded.webhook_id
)
SELECT id FROM recorded"""

# Put off a delivery whose attempt could not be written down.
POSTPONE = """
UPDATE webhook_deliveries SET next_retry_at = %(now)s + %(postponement)s
WHERE id = %(id)s AND status = 'retrying' AND next_retry_at = %(lease)s"""


@dataclass(frozen=True, slots=True)
class DeliveryRows:
    """Reads and changes deliveries over one connection; ``now`` is the time to go by."""

    connection: Connection

    def find(self, now: datetime) -> Iterator[tuple[str, UUID]]:
        """The host and id of what is due, hosts taking turns; takes nothing."""
        found = self.connection.execute(FIND, {"now": now, "most": MOST_FOUND})
        return ((row["host"], row["id"]) for row in found.fetchall())

    def take(self, row: UUID, now: datetime, lease: timedelta) -> Delivery | None:
        """Make a delivery ours until now + lease; None if it is no longer to be had."""
        taken = self.connection.execute(TAKE, {"id": row, "now": now, "lease": lease}).fetchone()
        return Delivery(**taken) if taken else None

    def record(self, attempt: Attempt, outcome: Outcome, now: datetime) -> bool:
        """Write down an attempt and what it came to; False if the delivery is no longer ours."""
        delivery = attempt.delivery
        values = {
            **attempt.columns(),
            "id": delivery.id,
            "lease": delivery.lease,
            "now": now,
            "status": outcome.status,
            "success": outcome.status == "success",
            "attempt_count": outcome.attempt_count,
            "retry_after": outcome.retry_after,
            "completed": outcome.completed,
            "error": hide(outcome.error, *delivery.secrets),
        }
        with hiding(*delivery.secrets):
            return self.connection.execute(RECORD, values).fetchone() is not None

    def postpone(self, delivery: Delivery, now: datetime, postponement: timedelta) -> None:
        """Put off a delivery whose attempt could not be written down."""
        values = {
            "id": delivery.id,
            "lease": delivery.lease,
            "now": now,
            "postponement": postponement,
        }
        self.connection.execute(POSTPONE, values)
