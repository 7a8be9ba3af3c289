"""With the indexes that `toast check` proposes, a pass with nothing due reads no big table from end
to end, nor does its question when a row will be due."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import psycopg
import pytest

from common.cli.check.big_tables import BIG_ROWS
from common.scheduling.scheduler import Scheduler
from devservers.postgres import PostgresServer
from testing.database import TestDatabase, fresh_database
from testing.passes import HOUR, open_pass
from testing.processes import environment, toast
from testing.scheduler_cases.blog import POST_PUBLISHER
from testing.scheduler_cases.foodfolio import ITEM_EXPIRATION
from testing.scheduler_cases.link import LINK_EXPIRATION
from testing.scheduler_cases.notification import NOTIFICATION_CLEANUP
from testing.scheduler_cases.twitchbot import MESSAGE_CLEANUP, STREAM_CLOSER
from testing.scheduler_cases.webhook import WEBHOOK_CLEANUP, WEBHOOK_RETRY, delivery
from testing.scheduler_rows import Row
from workers.notification import notification_retry
from workers.webhook import webhook_delivery

ROWS = 3 * BIG_ROWS


@dataclass(frozen=True, slots=True)
class Usual:
    """What most rows of a big table are like: done long ago, or not due for long; and a live
    index that serves already, which the test takes away."""

    scheduler: Scheduler
    row: Row
    unique: str = ""
    without: str = ""


USUAL = {
    "blog": Usual(POST_PUBLISHER.scheduler, POST_PUBLISHER.stays["published already"], "slug"),
    "link": Usual(
        LINK_EXPIRATION.scheduler, LINK_EXPIRATION.stays["switched off already"], "short_code"
    ),
    "foodfolio": Usual(
        ITEM_EXPIRATION.scheduler, ITEM_EXPIRATION.stays["expires in seven days and a microsecond"]
    ),
    "twitchbot messages": Usual(
        MESSAGE_CLEANUP.scheduler, MESSAGE_CLEANUP.stays["exactly 90 days old"]
    ),
    "twitchbot streams": Usual(STREAM_CLOSER.scheduler, STREAM_CLOSER.stays["ended"]),
    "notification cleanup": Usual(
        NOTIFICATION_CLEANUP.scheduler, NOTIFICATION_CLEANUP.stays["exactly 30 days old"]
    ),
    "notification retry": Usual(
        notification_retry.SCHEDULER,
        Row("notification_notifications", {"status": "failed", "attempt_count": 3}),
    ),
    "webhook cleanup": Usual(
        WEBHOOK_CLEANUP.scheduler, WEBHOOK_CLEANUP.stays["exactly 30 days old"]
    ),
    "webhook retry": Usual(WEBHOOK_RETRY.scheduler, WEBHOOK_RETRY.stays["no attempt left"]),
    "webhook delivery": Usual(
        webhook_delivery.SCHEDULER,
        delivery(status="success"),
        without="idx_webhook_deliveries_status",
    ),
}


@pytest.fixture
def database(postgres_server: PostgresServer) -> Iterator[TestDatabase]:
    with fresh_database(postgres_server) as database:
        yield database


def proposals(database: TestDatabase, service: str) -> list[str]:
    """The statements that `toast check` proposes for indexes."""
    answer = toast(
        "check", service, "--json", env=environment(database, WEBHOOK_DELIVERY_ENABLED="true")
    )
    return [
        finding["fix"]
        for finding in json.loads(answer.out)
        if (finding["check"], finding["level"]) == ("indexes", "warning")
    ]


@pytest.mark.parametrize("usual", USUAL)
def test_with_the_proposed_index_an_idle_pass_reads_no_table_from_end_to_end(
    usual: str, database: TestDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    case, service = USUAL[usual], usual.split()[0]
    scheduler, table = case.scheduler, case.row.table
    case.row.insert_many(database, ROWS, case.unique)
    if case.without:
        database.query(f"DROP INDEX {case.without}")
    database.query(f"VACUUM ANALYZE {table}")
    assert read_whole(database, scheduler, table, monkeypatch)

    proposed = proposals(database, service)
    for statement in proposed:
        assert re.fullmatch(rf"CREATE INDEX CONCURRENTLY ON {table} \(.*;", statement)
        database.query(statement)

    assert proposals(database, service) == []
    database.query(f"VACUUM ANALYZE {table}")
    assert not read_whole(database, scheduler, table, monkeypatch)


def read_whole(
    database: TestDatabase, scheduler: Scheduler, table: str, monkeypatch: pytest.MonkeyPatch
) -> list[str]:
    """The plans of an idle pass that read all of a table."""
    executed: list[tuple[str, Any]] = []
    execute = psycopg.Cursor.execute

    def record(cursor: Any, query: Any, params: Any = None, **options: Any) -> Any:
        # Settings for one query may stand before it, in the same message.
        alone = query.rpartition("; ")[2] if str(query).startswith("SET LOCAL") else query
        executed.append((alone, params))
        return execute(cursor, query, params, **options)

    with monkeypatch.context() as patch:
        patch.setattr(psycopg.Cursor, "execute", record)
        with open_pass(database, scheduler) as current:
            assert scheduler.work.run(current).processed == 0
            if ask := scheduler.work.next_due:
                ask(current, HOUR)
    with psycopg.connect(**database.server.connection(database.name)) as connection:
        writer = psycopg.ClientCursor(connection)
        plans = [
            "\n".join(line for (line,) in writer.execute(f"EXPLAIN {query}", params))
            for query, params in executed
            if isinstance(query, str) and f" {table}" in query
        ]
    assert plans
    return [plan for plan in plans if re.search(rf"(Seq|Tid Range) Scan on {table}", plan)]
