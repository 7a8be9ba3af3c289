"""Deleting by age: a doubtful clock deletes nothing, children go along, the age is a setting."""

from collections.abc import Callable
from datetime import timedelta

import pytest

from common.scheduling.under_way.clock_guard import ClocksDiffer
from testing.database import TestDatabase
from testing.passes import DAY, MICROSECOND, MINUTE, NOW, failed_rows, preview, run_pass
from testing.scheduler_cases.notification import NOTIFICATION_CLEANUP, notification
from testing.scheduler_cases.twitchbot import MESSAGE_CLEANUP, message
from testing.scheduler_cases.webhook import WEBHOOK_CLEANUP, old_delivery
from testing.scheduler_rows import Case, Row, live_rows

DELETING = (NOTIFICATION_CLEANUP, MESSAGE_CLEANUP, WEBHOOK_CLEANUP)

each = pytest.mark.parametrize("case", DELETING, ids=lambda case: case.scheduler.name)


@each
def test_clocks_more_than_ten_minutes_apart_delete_nothing(
    case: Case, database: TestDatabase
) -> None:
    case.insert(database)
    before = live_rows(database)

    for difference in (10 * MINUTE + MICROSECOND, 11 * MINUTE, 365 * DAY):
        for host_now in (NOW + difference, NOW - difference):
            for attempt in (run_pass, preview):
                with pytest.raises(ClocksDiffer, match=f"nothing deleted: .* {host_now:%H:%M:%S}"):
                    attempt(database, case.scheduler, host_now=host_now)

    assert live_rows(database) == before


@pytest.mark.parametrize("difference", [10 * MINUTE, -10 * MINUTE], ids=["ahead", "behind"])
def test_clocks_up_to_ten_minutes_apart_are_good_enough(
    difference: timedelta, database: TestDatabase
) -> None:
    message().insert(database)

    assert run_pass(database, MESSAGE_CLEANUP.scheduler, host_now=NOW + difference).processed == 1


@pytest.mark.parametrize(
    ("case", "variable", "make"),
    [
        (NOTIFICATION_CLEANUP, "NOTIFICATION_CLEANUP_RETENTION_DAYS", notification),
        (MESSAGE_CLEANUP, "MESSAGE_CLEANUP_RETENTION_DAYS", message),
        (WEBHOOK_CLEANUP, "WEBHOOK_CLEANUP_RETENTION_DAYS", old_delivery),
    ],
)
def test_the_days_that_rows_are_kept_are_a_setting(
    case: Case, variable: str, make: Callable[..., Row], database: TestDatabase
) -> None:
    """By the database's clock: the host's may differ by ten minutes."""
    make(created_at=NOW - DAY - MICROSECOND).insert(database)
    kept = make(created_at=NOW - DAY).insert(database)["id"]

    details = {variable: "1"}
    result = run_pass(database, case.scheduler, host_now=NOW + 9 * MINUTE, **details)

    assert result.processed == 1
    assert list(live_rows(database)[case.table]) == [kept]


@each
def test_a_row_that_an_unknown_table_refers_to_stays_with_its_children_and_others_go(
    case: Case, database: TestDatabase
) -> None:
    row = next(iter(case.due.values()))
    due = [row.insert(database)["id"] for _ in range(3)]
    database.query(f"CREATE TABLE reports (id uuid REFERENCES {case.table} ON DELETE NO ACTION)")
    database.query("INSERT INTO reports VALUES (%s)", due[1])
    expected = case.after(database, {due[0], due[2]})

    result = run_pass(database, case.scheduler)

    assert (result.processed, result.failed) == (2, 1)
    assert live_rows(database) == expected
    [failed] = failed_rows(database)
    assert failed["row_id"] == due[1]
    assert failed["reason"].startswith("ForeignKeyViolation: ")


@pytest.mark.parametrize("case", [NOTIFICATION_CLEANUP, WEBHOOK_CLEANUP])
def test_the_children_that_go_along_are_counted(case: Case, database: TestDatabase) -> None:
    case.due["created 31 days ago"].insert(database)
    case.due["tried twice"].insert(database)

    result = run_pass(database, case.scheduler)

    assert (result.processed, result.details["attempts"]) == (2, 3)
