"""When an alert is raised: as soon as it is true, on other facts, once per interval."""

from collections import Counter
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime

import pytest
from psycopg.rows import DictRow

from common.scheduling.scheduler import Pass, PassResult, Scheduler
from devservers.child_processes import PATIENCE, poll_until
from testing.database import TestDatabase
from testing.passes import (
    DAY,
    HOUR,
    MICROSECOND,
    MINUTE,
    NOW,
    failed_rows,
    open_pass,
    outbox,
    run_pass,
)
from testing.scheduler_cases.foodfolio import item, stored, variant
from testing.scheduler_rows import Row
from workers.foodfolio import item_expiration, stock_level

# The alert that another machine raises for one of many empty shelves.
RAISE_ONE = """
INSERT INTO toast_alerts (scheduler, subject_id, facts, raised_at)
SELECT 'stock-level', max(id::text)::uuid, 'stock 0 of 0', %s FROM foodfolio_item_variants"""

REFUSE_ONE = """
CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    IF new.subject_id = (SELECT min(id::text)::uuid FROM foodfolio_item_variants)
    THEN RAISE EXCEPTION 'refused'; END IF;
    RETURN new;
END $$;
CREATE TRIGGER refuse BEFORE INSERT ON toast_alerts FOR EACH ROW EXECUTE FUNCTION refuse()"""

# No session can commit alerts until the gate is opened. The second one does not get so far.
GATE = """
CREATE OR REPLACE FUNCTION pass_gate() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN
    PERFORM pg_advisory_lock_shared(1), pg_advisory_unlock_shared(1);
    RETURN NULL;
END $$;
DROP TRIGGER IF EXISTS gate ON toast_alerts;
CREATE CONSTRAINT TRIGGER gate AFTER INSERT OR UPDATE ON toast_alerts
DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION pass_gate()"""

AT_THE_GATE = """
SELECT pid FROM pg_stat_activity
WHERE datname = current_database() AND application_name = 'toast-test'
  AND wait_event = 'advisory'"""

ROLLED_BACK = """
SELECT xact_rollback AS failed FROM pg_stat_database WHERE datname = current_database()"""

WAITING = """
SELECT pid FROM pg_stat_activity WHERE datname = current_database()
AND application_name = 'toast-test' AND wait_event_type = 'Lock' AND wait_event <> 'advisory'"""


@dataclass(frozen=True, slots=True)
class Subject:
    """A row that is worth an alert, and what may become of it: ``over`` gives, by a reason why
    the alert is over, the statements that make it so and back again."""

    scheduler: Scheduler
    interval: str
    row: Row
    other_facts: str
    over: Mapping[str, tuple[str, str]]


def update(table: str, there: str, back: str) -> tuple[str, str]:
    return f"UPDATE {table} SET {there}", f"UPDATE {table} SET {back}"


ITEM = Subject(
    item_expiration.SCHEDULER,
    "ITEM_EXPIRATION_INTERVAL",
    item(expiry_date=NOW - DAY),
    "UPDATE foodfolio_item_details SET expiry_date = expiry_date - interval '1 day'",
    {
        "consumed": update("foodfolio_item_details", "deleted_at = now()", "deleted_at = NULL"),
        "given a later date": update(
            "foodfolio_item_details",
            "expiry_date = expiry_date + interval '9 days'",
            "expiry_date = expiry_date - interval '9 days'",
        ),
        "given no date": update(
            "foodfolio_item_details", "expiry_date = NULL", f"expiry_date = '{NOW - DAY}'"
        ),
        "gone": (
            "CREATE TABLE kept AS TABLE foodfolio_item_details; DELETE FROM foodfolio_item_details",
            "INSERT INTO foodfolio_item_details TABLE kept",
        ),
    },
)
STOCK = Subject(
    stock_level.SCHEDULER,
    "STOCK_LEVEL_INTERVAL",
    variant(2, stored(), stored(is_opened=True)),
    "UPDATE foodfolio_item_variants SET min_sku = 3",
    {
        "restocked": update(
            "foodfolio_item_details",
            "is_opened = false, has_deposit = is_opened",
            "is_opened = has_deposit",
        ),
        "given a lower minimum": update("foodfolio_item_variants", "min_sku = 1", "min_sku = 2"),
        "soft-deleted": update(
            "foodfolio_item_variants", "deleted_at = now()", "deleted_at = NULL"
        ),
    },
)

either = pytest.mark.parametrize("subject", [ITEM, STOCK], ids=["item", "stock"])


@either
def test_an_alert_is_raised_once_per_interval_however_often_a_pass_runs(
    subject: Subject, database: TestDatabase
) -> None:
    subject.row.insert(database)

    # Of an interval of 10 hours 9 are enough: a pass may come a little early, and still counts.
    hours = {0: 1, 0.1: 0, 8.99: 0, 9: 1, 10: 0, 17.99: 0, 18: 1}
    for time, events in hours.items():
        assert raised_at(NOW + time * HOUR, subject, database) == events, f"after {time} hours"


def test_between_two_ticks_an_alert_is_repeated_when_its_interval_is_over(
    database: TestDatabase,
) -> None:
    ITEM.row.insert(database)
    assert raised_at(NOW, ITEM, database) == 1

    for hours, events in {9: 0, 9.99: 0, 10: 1}.items():
        now = NOW + hours * HOUR
        assert raised_at(now, ITEM, database, between_ticks=True) == events, f"after {hours} hours"


def test_a_pass_runs_for_an_alert_that_no_tick_has_repeated(database: TestDatabase) -> None:
    ITEM.row.insert(database)
    ask = ITEM.scheduler.work.next_due
    assert ask is not None
    with open_pass(database, ITEM.scheduler, ITEM_EXPIRATION_INTERVAL="10h") as current:
        ITEM.scheduler.work.run(current)
        assert ask(current, 12 * HOUR).at == NOW + 11 * HOUR
        assert ask(current, 10 * HOUR).at is None


@either
def test_an_alert_with_other_facts_is_raised_at_once(
    subject: Subject, database: TestDatabase
) -> None:
    subject.row.insert(database)
    assert raised_at(NOW, subject, database) == 1

    database.query(subject.other_facts)

    assert raised_at(NOW + MICROSECOND, subject, database) == 1
    assert raised_at(NOW + MINUTE, subject, database) == 0


@either
def test_an_alert_that_is_over_is_forgotten_and_may_come_again(
    subject: Subject, database: TestDatabase
) -> None:
    row = subject.row.insert(database)["id"]
    assert raised_at(NOW, subject, database) == 1

    for why, (there, back) in subject.over.items():
        database.query(there)
        calm = run_pass(database, subject.scheduler, now=NOW + MINUTE)
        assert (calm.events, calm.details["forgotten"]) == (0, 1), why
        assert remembered(database) == []

        database.query(back)
        assert raised_at(NOW, subject, database) == 1, why
        assert [alert["subject_id"] for alert in remembered(database)] == [row]


def test_each_scheduler_forgets_its_own_alerts_only(database: TestDatabase) -> None:
    ITEM.row.insert(database)
    STOCK.row.insert(database)
    run_pass(database, ITEM.scheduler)
    run_pass(database, STOCK.scheduler)
    alerts = remembered(database)
    assert {alert["scheduler"] for alert in alerts} == {"item-expiration", "stock-level"}

    for subject in (ITEM, STOCK):
        assert run_pass(database, subject.scheduler).details["forgotten"] == 0

    assert remembered(database) == alerts


@either
@pytest.mark.parametrize("between_ticks", [False, True])
def test_two_machines_that_meet_the_same_alerts_raise_each_once(
    between_ticks: bool, subject: Subject, database: TestDatabase
) -> None:
    for _ in range(3):
        subject.row.insert(database)

    # Alerts that were never raised, and alerts that are repeated.
    for days, times in ((0, 1), (2, 2)):
        batches: list[PassResult] = []
        second = run_behind(
            database,
            subject.scheduler,
            first=subject.scheduler.work.run,
            now=NOW + days * DAY,
            report_progress=batches.append,
            between_ticks=between_ticks,
        )

        assert second.events == 0
        assert len(batches) == 1, "it has looked for bad rows"
        announced = Counter(event["key"] for event in outbox(database))
        assert list(announced.values()) == [times] * 3
    # Machines meet at ticks now and then, but between them whenever a row is due.
    failed = 0 if between_ticks else 1
    assert poll_until(lambda: database.one(ROLLED_BACK) == {"failed": failed}, PATIENCE)


def test_a_machine_that_finds_part_of_its_batch_raised_goes_on_to_the_rest(
    database: TestDatabase,
) -> None:
    variant(0).insert_many(database, 5_500, unique="slug")

    result = run_behind(
        database,
        stock_level.SCHEDULER,
        first=lambda other: other.connection.execute(RAISE_ONE, [NOW]),
    )

    assert result.events == 5_499
    assert len(remembered(database)) == 5_500


def test_an_alert_that_another_machine_raises_beside_a_bad_row_is_not_set_aside(
    database: TestDatabase,
) -> None:
    bad, _ = sorted(variant(0).insert(database)["id"] for _ in range(2))
    database.query(REFUSE_ONE)

    result = run_behind(
        database,
        stock_level.SCHEDULER,
        first=lambda other: other.connection.execute(RAISE_ONE, [NOW]),
    )

    assert (result.events, result.failed) == (0, 1)
    assert [row["row_id"] for row in failed_rows(database)] == [bad]


def raised_at(
    now: datetime, subject: Subject, database: TestDatabase, *, between_ticks: bool = False
) -> int:
    """How many alerts a pass at that time raises, by an interval of ten hours."""
    interval = {subject.interval: "10h"}
    return run_pass(
        database, subject.scheduler, now=now, between_ticks=between_ticks, **interval
    ).events


def remembered(database: TestDatabase) -> list[DictRow]:
    return database.query("SELECT * FROM toast_alerts ORDER BY scheduler, subject_id")


def run_behind(
    database: TestDatabase,
    scheduler: Scheduler,
    first: Callable[[Pass], object],
    now: datetime = NOW,
    report_progress: Callable[[PassResult], object] = lambda done: None,
    *,
    between_ticks: bool = False,
) -> PassResult:
    """Run a pass that meets what ``first`` did on another machine, which commits only then."""
    with (
        open_pass(database, scheduler, now=now, between_ticks=between_ticks) as one,
        open_pass(
            database,
            scheduler,
            now=now,
            report_progress=report_progress,
            between_ticks=between_ticks,
        ) as other,
        database.connect() as gatekeeper,
        ThreadPoolExecutor(2) as machines,
    ):
        gatekeeper.execute("SELECT pg_advisory_lock(1)")
        database.query(GATE)
        before = machines.submit(first, one)
        assert poll_until(lambda: bool(database.query(AT_THE_GATE)), PATIENCE)
        running = machines.submit(scheduler.work.run, other)
        assert poll_until(lambda: bool(database.query(WAITING)), PATIENCE)
        gatekeeper.execute("SELECT pg_advisory_unlock(1)")
        before.result(PATIENCE)
        return running.result(PATIENCE)
