"""Rows that a scheduler could not process: passed over for a while, so that they cost no other row
anything, with the reason for an operator to read."""

from datetime import datetime, timedelta
from uuid import UUID

from common.database.advice import cut
from common.database.error_classification import REASON_CHARACTERS
from common.database.session import Connection, Session
from common.logging.redaction import redact

# Tried again after 10 minutes, then after twice as long each time, up to a day.
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
    """Skip a row for ``retry_after``, else for a doubling time; returns the stored reason."""
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
    """How many rows of this scheduler are set aside, counted no further than ``most``."""
    row = connection.execute(_COUNT, {"scheduler": scheduler, "most": most}).fetchone()
    return row["count"] if row else 0


def forget_recovered(connection: Connection, scheduler: str, now: datetime) -> None:
    """At the end of a whole pass: forget the rows whose turn had come and that succeeded."""
    connection.execute(_FORGET_RECOVERED, {"scheduler": scheduler, "now": now})
