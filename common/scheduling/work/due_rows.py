"""Due rows: their SQL, the first of them for a dry run, their number for a metric."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from common.database import failed_rows
from common.database.session import Connection
from common.scheduling.due.conditions import Condition, Time
from common.scheduling.due.next_due import moment
from common.scheduling.preview import PREVIEW_ROWS, Ages, Preview
from common.scheduling.scheduler import Pass

# SQL for the moment at which a row became due, where nothing says it.
UNKNOWN = "NULL::timestamptz"

# SQL for the next moment at which a row is tried again that is set aside.
TRIED_AGAIN = moment(
    "toast_failed_rows", Time("retry_at", "%(now)s"), ["scheduler = %(scheduler)s"]
)

# How many rows are due and would be announced, and their ages.
_COUNT = """
SELECT count(*) AS due, count(*) FILTER (WHERE is_announced) AS announced,
       count(*) FILTER (WHERE since > day) AS day,
       count(*) FILTER (WHERE since <= day AND since > week) AS week,
       count(*) FILTER (WHERE since <= week AND since > month) AS month,
       count(*) FILTER (WHERE since <= month) AS older,
       count(*) FILTER (WHERE since IS NULL) AS unknown,
       min(greatest(since, timestamptz '0001-01-01 00:00:00+00'))
           FILTER (WHERE since IS NOT NULL) AS oldest
FROM (SELECT {since} AS since, {is_announced} AS is_announced,
             %(now)s - interval '1 day' AS day, %(now)s - interval '7 days' AS week,
             %(now)s - interval '30 days' AS month
      FROM ({due}) AS due) AS aged"""


@dataclass(frozen=True, slots=True)
class DueRows:
    """The due rows of a scheduler: the query ``sql``, and its parameters in a pass.

    ``since`` is SQL over its columns for the moment at which the row became due; NULL: not known.
    ``events`` is the most that one row leaves.
    """

    sql: str
    parameters: Callable[[Pass], Mapping[str, Any]]
    since: str = UNKNOWN
    events: int = 0

    def preview(self, current: Pass) -> Preview:
        """Count the due rows and fetch the first PREVIEW_ROWS of them, without changes."""
        parameters = {**self.parameters(current), "quiet_until": current.quiet_until}
        announced = is_announced(self.since)
        counting = _COUNT.format(since=self.since, is_announced=announced, due=self.sql)
        [counted] = current.connection.execute(counting, parameters)
        due, events = counted.pop("due"), counted.pop("announced") * self.events
        first = current.connection.execute(
            f"SELECT * FROM ({self.sql}) AS due LIMIT {PREVIEW_ROWS}", parameters
        )
        return Preview(due, first.fetchall(), Ages(**counted), events)

    def backlog(self, current: Pass, most: int) -> int:
        """Count the due rows, at most ``most``."""
        return count(current.connection, self.sql, self.parameters(current), most)


def count(connection: Connection, due: str, parameters: Mapping[str, Any], most: int) -> int:
    """Count the rows of the query ``due``, at most ``most``."""
    counted = connection.execute(
        f"SELECT count(*) FROM (SELECT FROM ({due}) AS due LIMIT {most:d}) AS counted", parameters
    ).fetchone()
    return counted["count"] if counted else 0


def all_of(conditions: Sequence[Condition]) -> str:
    """SQL: all of the conditions hold."""
    return " AND ".join(f"({condition.sql})" for condition in conditions)


def is_announced(since: str) -> str:
    """SQL: a row that became due at ``since`` leaves an event. NULL is as old as can be."""
    # Without a value the planner drops it, so an ordinary pass does not pay for it.
    quiet_until = "%(quiet_until)s::timestamptz"
    return f"({quiet_until} IS NULL OR {since} > {quiet_until})"


def not_set_aside(column: str) -> Condition:
    """The row with this id is not set aside."""
    return Condition("not set aside", failed_rows.not_set_aside(column), shows={})


def not_left_out(column: str = "id") -> str:
    """SQL: a batch may change the row: it is not set aside, nor one of the ids in ``without``."""
    return f"{not_set_aside(column).sql} AND {column} <> ALL (%(without)s::uuid[])"
