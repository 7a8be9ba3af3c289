"""Rows that a scheduler could not process: set aside with the reason and retried later."""

from datetime import datetime, timedelta
from uuid import UUID

from common.database.advice import cut
from common.database.error_classification import REASON_CHARACTERS
from common.database.session import Connection, Session
from common.logging.redaction import redact

# Retried after 10 minutes, then after twice as long each time, up to a day.
_SET_ASIDE = """
INSERT INTO toast_failed_rows AS known (scheduler, row_id, reason, failures, failed_at, retry_at)
VALUES (%(scheduler)s, %(row)s, %(reason)s, 1, %(now)s,
        %(now)s + coalesce(%(retry_after)s::interval, interval '10 minutes'))
ON CONFLICT (scheduler, row_id) DO UPDATE SET
    reason = excluded.reason, failures = known.failures + 1, failed_at = excluded.failed_at,
    retry_at = %(now)s + coalesce(%(retry_after)s::interval, least(
        interval '1 day', interval '10 minutes' * power(2, least(known.failures, 8))))"""

_FORGET_RECOVERED = """
DELETE FROM toast_failed_rows WHERE scheduler = %(scheduler)s AND retry_at <= %(now)s"""


_COUNT = """
SELECT count(*) FROM (
    SELECT FROM toast_failed_rows WHERE scheduler = %(scheduler)s LIMIT %(most)s
) AS counted"""


def set_aside(
    connection: Session,
    scheduler: str,
    row: UUID,
    reason: str,
    now: datetime,
    retry_after: timedelta | None = None,
) -> str:
    """Set a row aside for ``retry_after``, else for a doubling time; returns the stored reason."""
    kept = cut(connection.storable(redact(reason)), REASON_CHARACTERS)
    values = {
        "scheduler": scheduler,
        "row": row,
        "reason": kept,
        "now": now,
        "retry_after": retry_after,
    }
    connection.execute(_SET_ASIDE, values)
    return kept


def count(connection: Connection, scheduler: str, most: int) -> int:
    """Number of rows of this scheduler that are set aside, at most ``most``."""
    row = connection.execute(_COUNT, {"scheduler": scheduler, "most": most}).fetchone()
    return row["count"] if row else 0


def forget_recovered(connection: Connection, scheduler: str, now: datetime) -> None:
    """Delete the rows that were retried and succeeded; call it after a complete pass."""
    connection.execute(_FORGET_RECOVERED, {"scheduler": scheduler, "now": now})
