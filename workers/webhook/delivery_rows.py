"""The rows of webhook-delivery: finding, taking and writing them down, a statement each."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from common.database.error_classification import hiding
from common.database.session import Session
from workers.webhook.due_deliveries import IS_ACTIVE, IS_DUE
from workers.webhook.http_delivery.attempt import MOST_ATTEMPTS, Attempt, Delivery, hide
from workers.webhook.http_delivery.retry_decision import RetryDecision

# Rows to know of at once; there may be millions.
MOST_FOUND = 10_000

# As far as it takes to tell hosts apart; a URL that is refused for its form has no say in it. A
# number, because the text of one URL may be what the server cannot send us, and all are asked for.
_HOST = r"""hashtextextended(lower(coalesce(
    substring(webhook.url FROM '^[A-Za-z]+://(\[[^]]*\]|[^/:?#]*)'), '')), 0)::text"""

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

# Take one delivery, if it still is due and nobody else is taking it. A row without a lease says
# that it was there and stayed as it was.
TAKE = f"""
WITH due AS (
    SELECT delivery.id, {_HOST} AS host, webhook.url, webhook.secret
    FROM webhook_deliveries AS delivery
    JOIN webhook_webhooks AS webhook ON webhook.id = delivery.webhook_id
    WHERE delivery.id = %(id)s AND {IS_DUE} AND {IS_ACTIVE}
    FOR UPDATE OF delivery SKIP LOCKED
), taken AS (
    UPDATE webhook_deliveries AS delivery SET next_retry_at = %(now)s + %(lease)s
    WHERE id = (SELECT id FROM due) AND {IS_DUE}
    RETURNING id, webhook_id, event_type, event_payload,
              coalesce(attempt_count, 0) AS attempt_count, next_retry_at AS lease
)
SELECT due.id, webhook_id, event_type, event_payload, attempt_count, lease, host, url, secret
FROM due LEFT JOIN taken ON true"""

_IS_OURS = """
    id = %(id)s AND status = 'retrying' AND next_retry_at = %(lease)s
    AND coalesce(attempt_count, 0) = %(attempts_before)s"""

# One more, where there is room for it: a counter that is full must not cost a delivery.
_ONE_MORE = f"least(coalesce({{counter}}, 0), {MOST_ATTEMPTS - 1}) + {{one}}"


def _counted(counter: str, one: str) -> str:
    return f"{counter} = {_ONE_MORE.format(counter=counter, one=one)}"


# Write down one attempt, if the delivery is still ours. The URL is cut by the database, whose
# characters the column's width counts.
RECORD = f"""
WITH recorded AS (
    UPDATE webhook_deliveries
    SET status = %(status)s, attempt_count = %(attempt_count)s, last_attempt_at = %(now)s,
        next_retry_at = %(now)s + %(retry_after)s::interval,
        completed_at = CASE WHEN %(completed)s THEN %(now)s ELSE completed_at END,
        last_error = %(error)s, updated_at = %(now)s
    WHERE {_IS_OURS}
    RETURNING id, webhook_id, status, next_retry_at
), attempted AS (
    INSERT INTO webhook_delivery_attempts (
        delivery_id, attempt_number, request_url, request_headers, request_body,
        response_status, response_headers, response_body, success, error, duration_ms, created_at)
    SELECT id, %(attempt)s, left(%(request_url)s::text, 500), %(request_headers)s, %(request_body)s,
           %(response_status)s, %(response_headers)s, %(response_body)s, %(success)s, %(error)s,
           %(duration_ms)s, %(now)s
    FROM recorded
), counted AS (
    UPDATE webhook_webhooks AS webhook
    SET {_counted("total_deliveries", "1")}, last_delivery_at = %(now)s,
        {_counted("success_deliveries", "%(success)s::int")},
        {_counted("failed_deliveries", "(NOT %(success)s)::int")},
        last_success_at = CASE WHEN %(success)s THEN %(now)s ELSE last_success_at END,
        last_failure_at = CASE WHEN %(success)s THEN last_failure_at ELSE %(now)s END,
        updated_at = %(now)s
    FROM recorded WHERE webhook.id = recorded.webhook_id
)
SELECT status IS NOT DISTINCT FROM 'retrying'
       AND (%(status)s <> 'retrying' OR next_retry_at IS NOT DISTINCT FROM %(lease)s) AS is_undone
FROM recorded"""

_LOOK = f"SELECT FROM webhook_deliveries WHERE {_IS_OURS}"


class NotRecorded(Exception):
    """The row is as it was before the statement that changed it."""

    def __init__(self) -> None:
        super().__init__("a trigger or rule keeps it as it is")


@dataclass(frozen=True, slots=True)
class DeliveryRows:
    """Reads and changes deliveries over one connection; ``now`` is the time to go by."""

    connection: Session
    scheduler: str

    def find(self, now: datetime) -> Iterator[tuple[str, UUID]]:
        """The host and id of what is due, hosts taking turns; takes nothing."""
        values = {"scheduler": self.scheduler, "now": now, "most": MOST_FOUND}
        found = self.connection.execute(FIND, values)
        return ((row["host"], row["id"]) for row in found.fetchall())

    def take(self, row: UUID, now: datetime, lease: timedelta) -> Delivery | None:
        """Make a delivery ours until now + lease; None if it is no longer to be had."""
        values = {"scheduler": self.scheduler, "id": row, "now": now, "lease": lease}
        taken = self.connection.execute(TAKE, values).fetchone()
        if taken is None:
            return None
        if taken["lease"] is None or taken["lease"] <= now:
            raise NotRecorded
        return Delivery(**taken)

    def record(self, attempt: Attempt, outcome: RetryDecision, now: datetime) -> bool:
        """Write down an attempt and what it came to; False if the delivery is no longer ours."""
        delivery = attempt.delivery
        values = {
            **attempt.columns(),
            "id": delivery.id,
            "lease": delivery.lease,
            "attempts_before": delivery.attempt_count,
            "now": now,
            "status": outcome.status,
            "success": outcome.status == "success",
            "attempt_count": outcome.attempt_count,
            "retry_after": outcome.retry_after,
            "completed": outcome.completed,
            "error": hide(outcome.error, *delivery.secrets),
        }
        for name, value in values.items():
            if isinstance(value, str):
                values[name] = self.connection.storable(value)
        with hiding(*delivery.secrets):
            recorded = self.connection.execute(RECORD, values).fetchone()
        if recorded["is_undone"] if recorded else self._is_ours(values):
            raise NotRecorded
        return recorded is not None

    def _is_ours(self, values: dict[str, object]) -> bool:
        return self.connection.execute(_LOOK, values).fetchone() is not None
