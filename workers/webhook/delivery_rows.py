"""The rows of webhook-delivery: find, take and record deliveries, one statement each."""

from datetime import datetime, timedelta
from uuid import UUID

from common.database import failed_rows
from common.database.error_classification import hiding
from common.scheduling import Pass
from common.texts import change_texts
from workers.webhook.due_deliveries import IS_ACTIVE, IS_DUE
from workers.webhook.http_delivery.attempt import MOST_ATTEMPTS, Attempt, Delivery, hide
from workers.webhook.http_delivery.retry_decision import RetryDecision

# Rows to keep in memory at once; millions may be due.
MOST_FOUND = 10_000

# Enough of the URL to tell hosts apart; malformed URLs are refused later. A hash, because one URL
# may hold text that the server cannot convert to UTF-8, which would fail the whole query.
_HOST = r"""hashtextextended(lower(coalesce(
    substring(webhook.url FROM '^[A-Za-z]+://(?:[^/?#]*@)?(\[[^]]*\]|[^/:?#]*)'), '')), 0)::text"""

# Find due deliveries, without taking them: the first of every host, then the second of each, ...
# First the host that was reached last: if that one fails, too, it is probably not its own fault.
FIND = f"""
WITH host AS MATERIALIZED (
    SELECT id AS webhook_id, {_HOST} AS name, last_success_at
    FROM webhook_webhooks AS webhook WHERE {IS_ACTIVE}
), due AS (
    SELECT delivery.id, host.name AS host, host.last_success_at, delivery.next_retry_at,
           row_number() OVER (PARTITION BY host.name ORDER BY delivery.next_retry_at) AS turn
    FROM webhook_deliveries AS delivery JOIN host USING (webhook_id)
    WHERE {IS_DUE}
)
SELECT host, id FROM due
ORDER BY turn, last_success_at DESC NULLS LAST, next_retry_at LIMIT %(most)s"""

# Take one delivery, if it is still due and no other process is taking it. A result row without a
# lease means that the delivery was found but not changed.
TAKE = f"""
WITH due AS (
    SELECT delivery.id, {_HOST} AS host, webhook.url, webhook.secret,
           date_part('epoch', %(now)s) - date_part('epoch', delivery.next_retry_at) AS late
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
SELECT due.id, webhook_id, event_type, event_payload, attempt_count, lease, host, url, secret,
       late
FROM due LEFT JOIN taken ON true"""

_HOLDS_LEASE = """
    id = %(id)s AND status = 'retrying' AND next_retry_at = %(lease)s
    AND coalesce(attempt_count, 0) = %(attempts_before)s"""


def _counted(counter: str, one: str) -> str:
    """The counter plus one, at most the largest bigint: an overflow must not fail the delivery."""
    return f"{counter} = least(coalesce({counter}, 0), {MOST_ATTEMPTS - 1}) + {one}"


# Record one attempt, if we still hold the lease. The database cuts the URL, because the column's
# width counts the database's characters.
RECORD = f"""
WITH recorded AS (
    UPDATE webhook_deliveries
    SET status = %(status)s, attempt_count = %(attempt_count)s, last_attempt_at = %(now)s,
        next_retry_at = %(now)s + %(retry_after)s::interval,
        completed_at = CASE WHEN %(completed)s THEN %(now)s ELSE completed_at END,
        last_error = %(error)s, updated_at = %(now)s
    WHERE {_HOLDS_LEASE}
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

_CHECK_LEASE = f"SELECT FROM webhook_deliveries WHERE {_HOLDS_LEASE}"

_STATUS = "SELECT status FROM webhook_deliveries WHERE id = %s"

# Give a delivery back that was sent for nothing, if we still hold the lease.
RELEASE = f"""
UPDATE webhook_deliveries SET next_retry_at = %(now)s + %(wait)s WHERE {_HOLDS_LEASE}"""

# Hosts that a delivery has reached between these times, whichever process sent it.
REACHED = f"""
SELECT count(DISTINCT {_HOST}) AS reached FROM webhook_webhooks AS webhook
WHERE {IS_ACTIVE} AND last_success_at > %(since)s AND last_success_at < %(until)s"""


class NotRecorded(Exception):
    """The row is unchanged after the statement that should have changed it."""

    def __init__(self) -> None:
        super().__init__("a trigger or rule keeps it as it is")


class DeliveryRows:
    """Reads and changes deliveries on the connection of a pass, each taken for ``lease``."""

    def __init__(self, current: Pass, lease: timedelta) -> None:
        self._connection = current.connection
        self._scheduler = current.scheduler
        self._lease = lease
        # Rows become due while a pass waits for receivers.
        self.now = current.time_now

    def find(self) -> list[tuple[str, UUID]]:
        """The host and id of due deliveries, hosts taking turns; takes nothing."""
        values = {"scheduler": self._scheduler, "now": self.now(), "most": MOST_FOUND}
        found = self._connection.execute(FIND, values)
        return [(row["host"], row["id"]) for row in found]

    def take(self, row: UUID) -> Delivery | None:
        """Lease a delivery from now on; None if it is not due or taken by another process."""
        now = self.now()
        values = {"scheduler": self._scheduler, "id": row, "now": now, "lease": self._lease}
        taken = self._connection.execute(TAKE, values).fetchone()
        if taken is None:
            return None
        if taken["lease"] is None or taken["lease"] <= now:
            raise NotRecorded
        return Delivery(**taken)

    def record(self, attempt: Attempt, outcome: RetryDecision, now: datetime) -> bool:
        """Record an attempt and its outcome; False if we no longer hold the lease."""
        secrets = attempt.delivery.secrets
        values = change_texts(_columns(attempt, outcome, now), self._connection.storable)
        with hiding(*secrets):
            recorded = self._connection.execute(RECORD, values).fetchone()
        if recorded["is_undone"] if recorded else self._holds_lease(values):
            raise NotRecorded
        return recorded is not None

    def release(self, delivery: Delivery, wait: timedelta) -> None:
        """End the lease: the delivery is due again after ``wait``, with all its attempts."""
        values = {**_lease(delivery), "now": self.now(), "wait": wait}
        self._connection.execute(RELEASE, values)

    def status(self, row: UUID) -> str:
        """What another process made of a delivery."""
        found = self._connection.execute(_STATUS, (row,)).fetchone()
        return str(found["status"]) if found else "deleted"

    def reached(self, since: datetime, until: datetime) -> int:
        """The number of hosts that were reached between these times."""
        row = self._connection.execute(REACHED, {"since": since, "until": until}).fetchone()
        return row["reached"] if row else 0

    def set_aside(self, row: UUID, reason: str, first_delay: timedelta) -> str:
        """Set a delivery aside; returns the reason as stored."""
        return failed_rows.set_aside(
            self._connection, self._scheduler, row, reason, self.now(), first_delay=first_delay
        ).reason

    def _holds_lease(self, values: dict[str, object]) -> bool:
        return self._connection.execute(_CHECK_LEASE, values).fetchone() is not None


def _columns(attempt: Attempt, outcome: RetryDecision, now: datetime) -> dict[str, object]:
    """The values of RECORD and _CHECK_LEASE."""
    delivery = attempt.delivery
    return {
        **attempt.columns(),
        **_lease(delivery),
        "now": now,
        "status": outcome.status,
        "success": outcome.status == "success",
        "attempt_count": outcome.attempt_count,
        "retry_after": outcome.retry_after,
        "completed": outcome.completed,
        "error": hide(outcome.error, *delivery.secrets),
    }


def _lease(delivery: Delivery) -> dict[str, object]:
    """The values of _HOLDS_LEASE."""
    return {"id": delivery.id, "lease": delivery.lease, "attempts_before": delivery.attempt_count}
