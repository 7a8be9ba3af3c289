"""Due rows: their SQL, the first of them for a dry run, their number for a metric."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from common.database.failed_rows import not_set_aside
from common.database.session import Connection
from common.scheduling.scheduler import PREVIEW_ROWS, Condition, Pass, Preview


@dataclass(frozen=True, slots=True)
class DueRows:
    """The due rows of a scheduler: the query ``sql``, and its parameters in a pass."""

    sql: str
    parameters: Callable[[Pass], Mapping[str, Any]]

    def preview(self, current: Pass) -> Preview:
        """Count the due rows and fetch the first PREVIEW_ROWS of them, without changes."""
        parameters, rows = self.parameters(current), f"({self.sql}) AS due"
        counted = current.connection.execute(f"SELECT count(*) FROM {rows}", parameters)
        total = counted.fetchone()
        first = current.connection.execute(f"SELECT * FROM {rows} LIMIT {PREVIEW_ROWS}", parameters)
        return Preview(total["count"] if total else 0, first.fetchall())

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


def not_left_out(column: str = "id") -> str:
    """SQL: a batch may change the row: it is not set aside, nor one of the ids in ``without``."""
    return f"{not_set_aside(column)} AND {column} <> ALL (%(without)s::uuid[])"
