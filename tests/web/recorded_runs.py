"""Runs in the history, as workers have recorded them."""

import json
from datetime import datetime
from uuid import UUID, uuid4

from testing.database import TestDatabase

LINK = ("link", "link-expiration")

_INSERT = """
INSERT INTO toast_runs (id, service, scheduler, host, process, started_at, finished_at, result,
                        counts, error)
VALUES (%s, %s, %s, %s, 7, %s, %s::timestamptz + %s * interval '1 second', %s, %s, %s)"""


def add_run(
    database: TestDatabase,
    started_at: datetime,
    result: str | None = "ok",
    *,
    job: tuple[str, str] = LINK,
    seconds: float = 1.0,
    error: str = "",
    host: str = "vm-9",
    run: UUID | None = None,
    **counts: int,
) -> UUID:
    """Add a run, one that has not ended if ``result`` is None; returns its id."""
    run = run or uuid4()
    finished_at = started_at if result else None
    times = (started_at, finished_at, seconds)
    database.query(_INSERT, run, *job, host, *times, result, json.dumps(counts), error)
    return run
