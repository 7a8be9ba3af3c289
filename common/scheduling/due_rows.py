"""Due rows of a query: the first of them for a dry run, their number for a metric."""

from collections.abc import Mapping
from typing import Any

from common.scheduling.scheduler import PREVIEW_ROWS, Pass, Preview


def preview(current: Pass, due: str, parameters: Mapping[str, Any]) -> Preview:
    """Count the rows of the query ``due`` and fetch the first PREVIEW_ROWS of them."""
    counted = current.connection.execute(f"SELECT count(*) FROM ({due}) AS due", parameters)
    total = counted.fetchone()
    first = current.connection.execute(
        f"SELECT * FROM ({due}) AS due LIMIT {PREVIEW_ROWS}", parameters
    )
    return Preview(total["count"] if total else 0, first.fetchall())


def backlog(current: Pass, due: str, parameters: Mapping[str, Any], most: int) -> int:
    """Count the rows of the query ``due``, at most ``most``."""
    counted = current.connection.execute(
        f"SELECT count(*) FROM (SELECT FROM ({due}) AS due LIMIT {most:d}) AS counted", parameters
    ).fetchone()
    return counted["count"] if counted else 0
