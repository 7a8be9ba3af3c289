"""Tables of other shapes: every due row of every heap is done, and no other row is touched.

A ctid is unique in one heap only. So rows that are due lie here at the same places in one heap as
rows that are not in another.
"""

import dataclasses
import random
from uuid import UUID

import pytest

from common.database import session_settings
from common.scheduling.work import batched_pass
from devservers.postgres import PostgresServer
from testing.database import TestDatabase, fresh_database
from testing.passes import outbox, preview, run_pass
from testing.scheduler_cases import CASES
from testing.scheduler_cases.link import LINK_EXPIRATION, link
from testing.scheduler_rows import Case, live_rows
from tests.support.odd_tables import fill, give_heirs, partition, put_copy, time_columns
from tests.support.row_faults import locked_by_another_session

# Of which some share their reason.
ROWS = 8

every_scheduler = pytest.mark.parametrize("case", CASES, ids=lambda case: case.scheduler.name)
every_changing_scheduler = pytest.mark.parametrize(
    "case", [case for case in CASES if case.changes != {}], ids=lambda case: case.scheduler.name
)


@pytest.fixture(params=[False, True], ids=["at once", "in slices"], autouse=True)
def in_slices(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Whether the pass goes through the table slice by slice, or does it in one statement."""
    if request.param:
        monkeypatch.setattr(batched_pass, "BATCH_ROWS", 1)
        monkeypatch.setattr(batched_pass, "SLICE_PAGES", 1)
    return bool(request.param)


@every_scheduler
def test_exactly_the_due_rows_are_done_however_a_table_is_partitioned(
    case: Case, in_slices: bool, postgres_server: PostgresServer, database: TestDatabase
) -> None:
    chance = random.Random(f"{case.scheduler.name} {in_slices}")
    # Half of the keys each way.
    for key in ("id", *time_columns(database, case.table))[in_slices::2]:
        with fresh_database(postgres_server) as fresh:
            partitioned = dataclasses.replace(database, name=fresh.name)  # in the same world
            due, _ = insert_some(case, chance, partitioned)
            partition(partitioned, case.table, key)
            check_one_pass(case, due, partitioned)


@every_scheduler
def test_exactly_the_due_rows_are_done_of_a_table_that_others_inherit_from(
    case: Case, in_slices: bool, database: TestDatabase
) -> None:
    chance = random.Random(f"{case.scheduler.name} {in_slices}")
    due, stays = insert_some(case, chance, database)
    rows = [*due, *stays]
    chance.shuffle(rows)
    for number, heap in enumerate(give_heirs(database, case.table, heirs=2)):
        fill(database, case.table, heap, rows[number::3])
    check_one_pass(case, due, database)


@every_changing_scheduler
def test_the_condition_is_asked_again_at_the_row_that_changes(
    case: Case, database: TestDatabase
) -> None:
    """Only its tableoid distinguishes a row from a due one at the same place in another heap."""
    due = case.first_due.insert(database)["id"]
    # One that stays because of rows in other tables would make its due copy stay, too.
    due_columns = [row.columns for row in case.due.values()]
    by_itself = (row for row in case.stays.values() if row.columns not in due_columns)
    stays = [row.insert(database)["id"] for row in by_itself if "id" not in row.columns]
    heap, other = give_heirs(database, case.table, heirs=1)
    for number, row in enumerate(stays):
        first, second = (heap, other) if number % 2 else (other, heap)
        put_copy(database, case.table, first, row, row)
        put_copy(database, case.table, second, due, row)
    alike = database.query(f"SELECT * FROM parts.{case.table}_before WHERE id = ANY (%s)", stays)

    result = run_pass(database, case.scheduler)

    left = database.query(f"SELECT * FROM {case.table}")
    assert (result.processed, result.failed) == (len(stays), 0)
    assert all(row in left for row in alike)


@pytest.mark.timeout(60)
@every_changing_scheduler
def test_a_locked_row_is_not_waited_for_beside_a_due_one_at_the_same_place(
    case: Case, database: TestDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    patient = {**session_settings.PINNED, "lock_timeout": "10min"}
    monkeypatch.setattr(session_settings, "PINNED", patient)
    ids = [case.first_due.insert(database)["id"] for _ in range(2)]
    for heap, row in zip(give_heirs(database, case.table, heirs=1), ids, strict=True):
        fill(database, case.table, heap, [row])

    with locked_by_another_session(database, case.table, ids[0]):
        result = run_pass(database, case.scheduler)

    assert (result.processed, result.failed) == (1, 0)


def test_12000_rows_of_a_partitioned_table_are_done(database: TestDatabase) -> None:
    link().insert_many(database, 12_000, unique="short_code")
    partition(database, "link_links", "created_at")

    assert run_pass(database, LINK_EXPIRATION.scheduler).processed == 12_000
    assert database.query("SELECT FROM link_links WHERE is_active") == []


def insert_some(
    case: Case, chance: random.Random, database: TestDatabase
) -> tuple[list[UUID], list[UUID]]:
    """Insert rows that are due and rows that are not, one of each kind at least."""
    due, stays = list(case.due.values()), list(case.stays.values())
    chosen = [*due, *stays, *chance.choices([*due, *stays], k=ROWS)]
    # Some are one row by their nature.
    chosen = [row for row in chosen if "id" not in row.columns] + [
        row for row in stays if "id" in row.columns
    ]
    chance.shuffle(chosen)
    ids: dict[bool, list[UUID]] = {True: [], False: []}
    for row in chosen:
        ids[row in due].append(row.insert(database)["id"])
    return ids[True], ids[False]


def check_one_pass(case: Case, due: list[UUID], database: TestDatabase) -> None:
    expected = case.after(database, set(due))

    shown = preview(database, case.scheduler)
    result = run_pass(database, case.scheduler)

    assert (shown.count, result.processed, result.failed) == (len(due), len(due), 0)
    assert live_rows(database) == expected
    announced = [UUID(event["key"]) for event in outbox(database)]
    assert sorted(announced) == (sorted(due) if case.announces else [])
    again = run_pass(database, case.scheduler)
    assert (again.processed, again.events, again.failed) == (0, 0, 0)
