"""Rows that a scheduler could not process: set aside with the reason and retried later."""

from datetime import datetime, timedelta
from typing import NamedTuple
from uuid import UUID

from common.database.advice import cut
from common.database.error_classification import REASON_CHARACTERS
from common.database.session import Connection, Session
from common.logging.redaction import redact

FIRST_DELAY = timedelta(minutes=10)

# The delay doubles with each failure, up to a day; a first delay of more than a day stays.
_SET_ASIDE = """
INSERT INTO toast_failed_rows AS known
       (scheduler, row_id, reason, failures, failed_at, since, grace, retry_at)
VALUES (%(scheduler)s, %(row)s, %(reason)s, 1, %(now)s, %(now)s, %(grace)s, %(now)s + %(delay)s)
ON CONFLICT (scheduler, row_id) DO UPDATE SET
    reason = excluded.reason, failures = known.failures + 1, failed_at = excluded.failed_at,
    grace = excluded.grace,
    retry_at = excluded.failed_at + greatest(%(delay)s, least(
        interval '1 day', %(delay)s * power(2, least(known.failures, 9))))
RETURNING reason, failed_at >= since + grace AS counts"""

_FORGET_RECOVERED = """
DELETE FROM toast_failed_rows WHERE scheduler = %(scheduler)s AND retry_at <= %(now)s"""

_DUE_AGAIN = """
SELECT row_id FROM toast_failed_rows
WHERE scheduler = %(scheduler)s AND retry_at <= %(now)s ORDER BY retry_at LIMIT %(most)s"""

_COUNT = """
SELECT count(*) FROM (
    SELECT FROM toast_failed_rows
    WHERE scheduler = %(scheduler)s AND failed_at >= since + grace LIMIT %(most)s
) AS counted"""


class FailedRow(NamedTuple):
    """The reason as it is stored, and whether the row ``counts`` as failed: its grace is over."""

    reason: str
    counts: bool


def not_set_aside(column: str) -> str:
    """SQL: the row with this id is not set aside at ``now`` by ``scheduler``, two parameters.

    A subquery, read once per statement: of a table that is not analysed the planner expects a
    handful of rows, and would join it row by row.
    """
    return f"""{column} NOT IN (
        SELECT row_id FROM toast_failed_rows
        WHERE scheduler = %(scheduler)s AND retry_at > %(now)s)"""


def set_aside(
    connection: Session,
    scheduler: str,
    row: UUID,
    reason: str,
    now: datetime,
    *,
    first_delay: timedelta = FIRST_DELAY,
    grace: timedelta = timedelta(0),
) -> FailedRow:
    """Set a row aside: for ``first_delay``, then for twice as long each time, up to a day.

    It counts as failed when it has failed in a row for as long as ``grace``.
    """
    values = {
        "scheduler": scheduler,
        "row": row,
        "reason": cut(connection.storable(redact(reason)), REASON_CHARACTERS),
        "now": now,
        "delay": first_delay,
        "grace": grace,
    }
    [kept] = connection.execute(_SET_ASIDE, values)
    return FailedRow(**kept)


def due_again(connection: Connection, scheduler: str, now: datetime, most: int) -> list[UUID]:
    """The rows that are set aside no longer, and were not tried since; at most ``most``."""
    values = {"scheduler": scheduler, "now": now, "most": most}
    return [row["row_id"] for row in connection.execute(_DUE_AGAIN, values)]


def count(connection: Connection, scheduler: str, most: int) -> int:
    """Number of rows of this scheduler that count as failed, at most ``most``."""
    row = connection.execute(_COUNT, {"scheduler": scheduler, "most": most}).fetchone()
    return row["count"] if row else 0


def forget_recovered(connection: Connection, scheduler: str, now: datetime) -> None:
    """Delete the rows that were retried and succeeded; call it after a complete pass."""
    connection.execute(_FORGET_RECOVERED, {"scheduler": scheduler, "now": now})
