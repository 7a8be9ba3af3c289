"""One pass of a scheduler over a test's database, at a time that the test chooses, and the events
that it left in the outbox."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from psycopg.rows import DictRow

from common import config
from common.config import Need, Settings, Variable
from common.database.connection import Database
from common.scheduling.preview import Preview, Reasons
from common.scheduling.scheduler import NOTHING, Pass, PassResult, Scheduler
from testing.database import TestDatabase

# Far from the real clock, so that a statement with the server's time fails. The times that
# TestDatabase.insert fills in (the real time) are later, so these rows are not due.
NOW = datetime(2024, 2, 29, 12, 0, 0, 500_000, tzinfo=UTC)
NOW_TEXT = "2024-02-29T12:00:00.500000Z"
MICROSECOND = timedelta(microseconds=1)
MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
GO_ZERO_TIME = datetime(1, 1, 1, tzinfo=UTC)


def load_settings(
    service: str,
    variables: Iterable[Variable[Any]],
    environment: Mapping[str, str],
    needs: Iterable[Need] = (),
) -> Settings:
    """The settings of a process with these environment variables."""
    with pytest.MonkeyPatch.context() as process:
        for name, value in environment.items():
            process.setenv(name, value)
        return config.load(service, variables, needs=needs)


@contextmanager
def open_pass(
    database: TestDatabase,
    scheduler: Scheduler,
    *,
    now: datetime = NOW,
    host_now: datetime | None = None,
    quiet_until: datetime | None = None,
    between_ticks: bool = False,
    stopping: Callable[[], bool] = lambda: False,
    wait: Callable[[float], bool] = lambda seconds: False,
    report_progress: Callable[[PassResult], object] = lambda done: None,
    **settings: str,
) -> Iterator[Pass]:
    """A pass on a connection like a worker's; ``settings`` as an operator writes them."""
    loaded = load_settings("test", scheduler.variables, {**database.environment, **settings})
    with Database(loaded).connect() as connection:
        yield Pass(
            scheduler=scheduler.name,
            connection=connection,
            settings=loaded,
            interval=loaded[scheduler.interval],
            now=now,
            host_now=host_now or now,
            stopping=stopping,
            wait=lambda seconds: stopping() or wait(seconds),
            report_progress=lambda done=NOTHING, /, *, share=None: report_progress(done),
            quiet_until=quiet_until,
            between_ticks=between_ticks,
        )


def run_pass(database: TestDatabase, scheduler: Scheduler, **details: Any) -> PassResult:
    """Run one pass; ``details`` are the keywords of open_pass."""
    with open_pass(database, scheduler, **details) as current:
        return scheduler.work.run(current)


def preview(database: TestDatabase, scheduler: Scheduler, **details: Any) -> Preview:
    """The result of a dry run, on a read-only connection."""
    with open_pass(database, scheduler, **details) as current, current.connection.transaction():
        current.connection.execute("SET TRANSACTION READ ONLY")
        return scheduler.work.preview(current)


def why(database: TestDatabase, scheduler: Scheduler, row: object, **details: Any) -> Reasons:
    """Why a pass would find the row with this id, or not."""
    with open_pass(database, scheduler, **details) as current:
        return scheduler.work.why(current, str(row))


def outbox(database: TestDatabase) -> list[DictRow]:
    """The waiting events in order: every column except the number, the payload parsed."""
    events = database.query("SELECT * FROM toast_outbox ORDER BY id")
    return [
        {name: value for name, value in event.items() if name != "id"}
        | {"payload": json.loads(event["payload"])}
        for event in events
    ]


def announcement(
    event: DictRow, service: str, topic: str, key: object, fields: Mapping[str, object]
) -> DictRow:
    """All columns that ``event`` must have; only its id is taken from it."""
    return {
        "service": service,
        "topic": topic,
        "key": str(key),
        "event_id": event["event_id"],
        "occurred_at": NOW,
        "payload": {
            **fields,
            "id": str(event["event_id"]),
            "type": topic,
            "source": f"{service}-service",
            "timestamp": NOW_TEXT,
            "data": fields,
        },
        "tries": 0,
        "retry_at": None,
        "error": "",
    }


def failed_rows(database: TestDatabase) -> list[DictRow]:
    """The rows that are set aside, the next retry first."""
    return database.query("SELECT * FROM toast_failed_rows ORDER BY retry_at, row_id")
