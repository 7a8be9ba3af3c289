"""A change in batches: locked rows, rows that move, errors and crashes.

The table is that of link-expiration; all schedulers share all but the statement.
"""

import logging
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest

from common.database.connection import abort_connection
from common.scheduling.scheduler import PassResult
from devservers.child_processes import PATIENCE, poll_until
from testing.database import TestDatabase
from testing.passes import failed_rows, open_pass, outbox, run_pass
from testing.scheduler_cases import CASES
from testing.scheduler_cases.link import link
from testing.scheduler_rows import Case, live_rows
from tests.support.row_faults import locked_by_another_session, refusal
from workers.link import link_expiration

EXPIRATION = link_expiration.SCHEDULER

KEEP_ROWS = """
CREATE FUNCTION keep() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$;
CREATE TRIGGER keep BEFORE UPDATE ON link_links
FOR EACH ROW WHEN (new.title = 'kept') EXECUTE FUNCTION keep()"""

# Row-level security makes this role's statements pass a gate at each row that they read: they
# have begun then, but have not locked the row yet.
GATE = """
CREATE FUNCTION pass_gate() RETURNS boolean LANGUAGE plpgsql AS
$$ BEGIN PERFORM pg_advisory_lock_shared(1), pg_advisory_unlock_shared(1); RETURN true; END $$;
CREATE POLICY gate ON link_links USING (pass_gate());
ALTER TABLE link_links ENABLE ROW LEVEL SECURITY;
CREATE ROLE {role} LOGIN PASSWORD 'gate';
GRANT ALL ON ALL TABLES IN SCHEMA public TO {role}"""

AT_THE_GATE = """
SELECT pid FROM pg_stat_activity WHERE datname = current_database()
AND application_name = 'toast-test' AND wait_event = 'advisory'"""

ACTIVE = "SELECT id FROM link_links WHERE is_active"

WAITS_FOR_A_ROW = """
SELECT pid FROM pg_stat_activity WHERE datname = current_database()
AND application_name = 'toast-test' AND wait_event_type = 'Lock'"""

# Alerts change no live row, so they lock none.
locking = [case for case in CASES if case.changes != {}]


@pytest.mark.parametrize("case", locking, ids=lambda case: case.scheduler.name)
def test_a_row_that_another_session_locks_is_left_for_the_next_pass(
    case: Case, database: TestDatabase
) -> None:
    due = [row.insert(database)["id"] for row in case.due.values()]
    locked = due[0]
    with locked_by_another_session(database, case.table, locked):
        before = live_rows(database)[case.table][locked]
        assert run_pass(database, case.scheduler).processed == len(due) - 1
        assert live_rows(database)[case.table][locked] == before

    assert run_pass(database, case.scheduler).processed == 1


def test_a_pass_waits_in_vain_only_once_however_many_rows_are_locked(
    database: TestDatabase, caplog: pytest.LogCaptureFixture
) -> None:
    link().insert_many(database, 15_000, unique="short_code")
    caplog.set_level(logging.DEBUG)
    with database.connect() as editor, editor.transaction():
        locked = editor.execute(
            "SELECT FROM link_links WHERE ctid IN ('(1,1)', '(130,1)') FOR UPDATE"
        ).rowcount
        assert run_pass(database, EXPIRATION).processed == 15_000 - locked
    assert locked == 2  # in two slices
    assert caplog.messages.count("locked_rows_skipped") == 1


@pytest.mark.parametrize(
    ("change", "done"),
    [("expires_at = now() + interval '1 day'", 2), ("title = 'new'", 3)],
    ids=["no longer due", "still due"],
)
def test_a_row_that_an_editor_changes_during_the_pass_is_judged_by_its_new_values(
    change: str, done: int, database: TestDatabase
) -> None:
    due = [link().insert(database)["id"] for _ in range(3)]
    with database.connect() as editor, ThreadPoolExecutor(1) as machine:
        with editor.transaction():
            editor.execute(f"UPDATE link_links SET {change} WHERE id = %s".encode(), [due[0]])
            running = machine.submit(run_pass, database, EXPIRATION)
            poll_until(lambda: running.done() or bool(database.query(WAITS_FOR_A_ROW)), PATIENCE)
        # On a busy machine the pass may have given up waiting: then the next one finds the row.
        results = [running.result(PATIENCE), run_pass(database, EXPIRATION)]

    assert sum(result.processed for result in results) == done
    assert len(outbox(database)) == done
    assert failed_rows(database) == []


def test_a_row_that_changes_at_the_moment_of_the_pass_is_done_by_that_pass(
    database: TestDatabase,
) -> None:
    due = [link().insert(database)["id"] for _ in range(3)]
    database.query(GATE.format(role=database.name))

    with (
        database.connect() as visitor,
        open_pass(database, EXPIRATION, DB_USER=database.name, DB_PASSWORD="gate") as current,
        ThreadPoolExecutor(1) as machine,
    ):
        visitor.execute("SELECT pg_advisory_lock(1)")
        running = machine.submit(EXPIRATION.work.run, current)
        assert poll_until(lambda: bool(database.query(AT_THE_GATE)), PATIENCE)
        visitor.execute("UPDATE link_links SET click_count = 1 WHERE id = %s", [due[1]])
        visitor.execute("SELECT pg_advisory_unlock(1)")
        result = running.result(PATIENCE)

    assert result.processed == 3
    assert database.query(ACTIVE) == []


def test_rows_that_move_or_come_while_a_backlog_is_walked_are_done_too(
    database: TestDatabase,
) -> None:
    link().insert_many(database, 15_000, unique="short_code")
    batches: list[PassResult] = []

    def meanwhile(done: PassResult) -> None:
        batches.append(done)
        if len(batches) == 1:  # the size of the table has been looked up by now
            moved = database.query(
                "UPDATE link_links SET click_count = 1, title = repeat('x', 255)"
                " WHERE is_active RETURNING id"
            )
            assert len(moved) > 5_000
            link().insert(database)

    result = run_pass(database, EXPIRATION, report_progress=meanwhile)

    assert result.processed == 15_001
    assert database.query(ACTIVE) == []


@pytest.mark.timeout(20)
@pytest.mark.parametrize(
    ("fault", "error"),
    [
        ("ALTER TABLE toast_outbox RENAME TO gone", psycopg.errors.UndefinedTable),
        ("ALTER TABLE link_links DROP COLUMN short_code", psycopg.errors.UndefinedColumn),
        (refusal("UPDATE ON link_links"), psycopg.errors.RaiseException),
    ],
    ids=["no outbox", "no column", "a trigger against every statement"],
)
def test_what_is_no_fault_of_a_row_fails_the_pass_and_sets_nothing_aside(
    fault: str, error: type[psycopg.Error], database: TestDatabase
) -> None:
    due = link().insert(database)["id"]
    database.query(fault)

    with pytest.raises(error):
        run_pass(database, EXPIRATION)

    assert [row["id"] for row in database.query(ACTIVE)] == [due]
    assert failed_rows(database) == []


@pytest.mark.timeout(20)
@pytest.mark.parametrize("good_rows", [0, 5])
def test_a_row_that_a_trigger_keeps_as_it_is_is_set_aside_and_stops_no_other(
    good_rows: int, database: TestDatabase
) -> None:
    good = [str(link().insert(database)["id"]) for _ in range(good_rows)]
    kept = link(title="kept").insert(database)["id"]
    database.query(KEEP_ROWS)

    result = run_pass(database, EXPIRATION)

    assert (result.processed, result.events, result.failed) == (good_rows, good_rows, 1)
    assert result.note == f"link_links {kept}: unchanged: a trigger or rule keeps it as it is"
    assert sorted(event["key"] for event in outbox(database)) == sorted(good)
    assert [row["row_id"] for row in failed_rows(database)] == [kept]


def test_a_crash_half_way_leaves_whole_batches_with_their_events(database: TestDatabase) -> None:
    link().insert_many(database, 15_000, unique="short_code")
    batches: list[int] = []

    def crash(done: PassResult) -> None:
        batches.append(done.events)
        if len(batches) == 2:
            abort_connection(current.connection)

    with (
        open_pass(database, EXPIRATION, report_progress=crash) as current,
        pytest.raises(psycopg.OperationalError),
    ):
        EXPIRATION.work.run(current)

    assert len(database.query(ACTIVE)) == 15_000 - sum(batches)
    assert len(outbox(database)) == sum(batches)
    assert run_pass(database, EXPIRATION).processed == 15_000 - sum(batches)
