"""With any odd value in one row, the healthy rows beside it are done once.

Every nullable column of the tables of the set-based schedulers, and rows that a trigger refuses.
"""

from collections.abc import Sequence
from uuid import UUID

import pytest

from testing.database import TestDatabase
from testing.passes import HOUR, NOW, failed_rows, outbox, preview, run_pass
from testing.scheduler_cases import CASES
from testing.scheduler_cases.notification import NOTIFICATION_CLEANUP
from testing.scheduler_cases.twitchbot import MESSAGE_CLEANUP
from testing.scheduler_cases.webhook import WEBHOOK_CLEANUP
from testing.scheduler_rows import Case
from tests.support.odd_values import CLAIMED, FLAGS, NUMBERS, TEXTS, TIMES, make_odd
from tests.support.row_faults import refusal

NULLABLE = """
SELECT attname::text AS name, format_type(atttypid, NULL) AS kind FROM pg_attribute
WHERE attrelid = %s::regclass AND attnum > 0 AND NOT attisdropped AND NOT attnotnull
ORDER BY attnum"""

ODD = {
    "timestamp with time zone": TIMES,
    "bigint": NUMBERS,
    "boolean": FLAGS,
    "uuid": (None,),
    "text": TEXTS,
    "character varying": TEXTS,
}

KEEP = """
CREATE FUNCTION keep() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$;
CREATE TRIGGER keep BEFORE DELETE ON {table}
FOR EACH ROW WHEN (OLD.id = '{row}') EXECUTE FUNCTION keep()"""

# Two rows may not share it.
UNIQUE = ("custom_alias", "barcode")

every_scheduler = pytest.mark.parametrize("case", CASES, ids=lambda case: case.scheduler.name)


@every_scheduler
def test_healthy_rows_are_done_once_beside_every_odd_one(
    case: Case, database: TestDatabase
) -> None:
    before = case.first_due.insert(database)["id"]
    for column in database.query(NULLABLE, case.table):
        values: Sequence[str | None] = ODD[column["kind"]]
        for value in (None,) if column["name"] in UNIQUE else values:
            row = case.first_due.insert(database)["id"]
            make_odd(database, case.table, column["name"], row, value)
    after = case.first_due.insert(database)["id"]

    shown = preview(database, case.scheduler)
    result = run_pass(database, case.scheduler)

    assert (shown.count, result.failed, result.complete) == (result.processed, 0, True)
    check_done_once(case, [before, after], database)
    again = run_pass(database, case.scheduler)
    assert (again.processed, again.events, again.failed) == (0, 0, 0)


@pytest.mark.parametrize(
    "case", [case for case in CASES if case.changes != {}], ids=lambda case: case.scheduler.name
)
@pytest.mark.parametrize("sqlstate", CLAIMED)
def test_a_row_that_a_trigger_refuses_under_its_own_code_is_set_aside_alone(
    case: Case, sqlstate: str, database: TestDatabase
) -> None:
    ids = [case.first_due.insert(database)["id"] for _ in range(3)]
    event, row = ("DELETE", "OLD") if case.changes is None else ("UPDATE", "NEW")
    change, when = f"{event} ON {case.table}", f"{row}.id = '{ids[1]}'"
    database.query(refusal(change, when, sqlstate=sqlstate))

    result = run_pass(database, case.scheduler)

    check_done_once(case, [ids[0], ids[2]], database)
    # What claims to be another session in the way is left to the next pass.
    contended = sqlstate == "40001"
    assert (result.processed, result.failed) == (2, 0 if contended else 1)
    assert [row["row_id"] for row in failed_rows(database)] == ([] if contended else [ids[1]])
    database.query(f"DROP TRIGGER refuse ON {case.table}")
    assert run_pass(database, case.scheduler, now=NOW + HOUR).processed == 1


@pytest.mark.parametrize(
    ("case", "attempts"),
    [
        (MESSAGE_CLEANUP, MESSAGE_CLEANUP.table),  # it has none
        (NOTIFICATION_CLEANUP, "notification_attempts"),
        (WEBHOOK_CLEANUP, "webhook_delivery_attempts"),
    ],
)
def test_what_a_trigger_keeps_from_being_deleted_is_set_aside_and_keeps_its_attempts(
    case: Case, attempts: str, database: TestDatabase
) -> None:
    kept, gone = [case.first_due.insert(database)["id"] for _ in range(2)]
    database.query(KEEP.format(table=case.table, row=kept))
    before = database.query(f"SELECT * FROM {attempts} ORDER BY id")

    result = run_pass(database, case.scheduler)

    assert (result.processed, result.failed) == (1, 1)
    assert [row["row_id"] for row in failed_rows(database)] == [kept]
    assert database.query(f"SELECT * FROM {attempts} ORDER BY id") == [
        row for row in before if gone not in row.values()
    ]


def check_done_once(case: Case, rows: list[UUID], database: TestDatabase) -> None:
    if case.announces:
        announced = [UUID(event["key"]) for event in outbox(database)]
        assert [announced.count(row) for row in rows] == [1, 1]
    left = database.query(f"SELECT * FROM {case.table} WHERE id = ANY (%s)", rows)
    if case.changes is None:
        assert left == []
    else:
        assert all(row[name] == value for row in left for name, value in case.changes.items())
        assert len(left) == len(rows)
