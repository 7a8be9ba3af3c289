"""A quiet pass, as `toast takeover` runs it: it does all of the work and announces the recent part
of it."""

from uuid import UUID

import pytest

from common.scheduling.preview import Ages
from common.scheduling.scheduler import Scheduler
from testing.database import TestDatabase
from testing.passes import DAY, HOUR, NOW, outbox, preview, run_pass
from testing.scheduler_cases import CASES
from testing.scheduler_cases.blog import post
from testing.scheduler_cases.foodfolio import STOCK_LEVEL, item, stored, variant
from testing.scheduler_cases.link import link
from testing.scheduler_cases.notification import notification
from testing.scheduler_cases.twitchbot import message, stream
from testing.scheduler_cases.webhook import delivery, old_delivery
from testing.scheduler_rows import Case, Row, live_rows
from workers.blog import post_publisher
from workers.foodfolio import item_expiration, stock_level
from workers.link import link_expiration
from workers.notification import notification_cleanup
from workers.twitchbot import message_cleanup, stream_closer
from workers.webhook import webhook_cleanup, webhook_retry

WEEK = 7 * DAY


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.scheduler.name)
def test_a_quiet_pass_does_the_same_and_announces_nothing(
    case: Case, database: TestDatabase
) -> None:
    reasons = case.insert(database)
    due = {row for row, reason in reasons.items() if reason in case.due}
    expected = case.after(database, due)

    shown = preview(database, case.scheduler, quiet_until=NOW)
    result = run_pass(database, case.scheduler, quiet_until=NOW)
    again = run_pass(database, case.scheduler)

    assert (shown.count, shown.events) == (len(due), 0)
    assert (result.processed, result.events, result.complete) == (len(due), 0, True)
    assert (again.processed, outbox(database)) == (0, [])
    assert live_rows(database) == expected


@pytest.mark.parametrize(
    ("scheduler", "row", "column"),
    [
        (link_expiration.SCHEDULER, link(), "expires_at"),
        (post_publisher.SCHEDULER, post(), "published_at"),
        (item_expiration.SCHEDULER, item(), "expiry_date"),
    ],
    ids=lambda value: value.name if isinstance(value, Scheduler) else "",
)
def test_what_became_due_lately_is_announced(
    scheduler: Scheduler, row: Row, column: str, database: TestDatabase
) -> None:
    def add(moment: object) -> UUID:
        inserted: UUID = row.insert(database)["id"]
        database.query(f"UPDATE {row.table} SET {column} = %s WHERE id = %s", moment, inserted)
        return inserted

    today, lately = add(NOW - 23 * HOUR), add(NOW - WEEK + HOUR)
    for moment in (NOW - WEEK, NOW - 31 * DAY, "-infinity", "0001-01-01"):
        add(moment)

    shown = preview(database, scheduler, quiet_until=NOW - WEEK)
    result = run_pass(database, scheduler, quiet_until=NOW - WEEK)

    assert shown.ages == Ages(day=1, week=1, month=1, older=3)
    assert (result.processed, result.events, shown.events) == (6, 2, 2)
    assert {event["key"] for event in outbox(database)} == {str(today), str(lately)}


def test_a_warning_is_as_old_as_its_time_has_come(database: TestDatabase) -> None:
    for days in (0, 1, 6, 7):
        item(expiry_date=NOW + days * DAY).insert(database)

    shown = preview(database, item_expiration.SCHEDULER, quiet_until=NOW - 2 * DAY)

    # Expired just now; warned of for six days, for one, and from now on.
    assert (shown.ages, shown.events) == (Ages(day=2, week=2), 3)


@pytest.mark.parametrize(
    ("scheduler", "rows"),
    [
        (webhook_retry.SCHEDULER, (delivery(updated_at=NOW), delivery(updated_at=None))),
        (
            stream_closer.SCHEDULER,
            (stream(updated_at=NOW - 25 * HOUR), stream(updated_at=None)),
        ),
        (
            message_cleanup.SCHEDULER,
            (message(created_at=NOW - 91 * DAY + HOUR), message(created_at=None)),
        ),
        (
            notification_cleanup.SCHEDULER,
            (notification(created_at=NOW - 31 * DAY + HOUR), notification(created_at=None)),
        ),
        (
            webhook_cleanup.SCHEDULER,
            (old_delivery(created_at=NOW - 31 * DAY + HOUR), old_delivery(created_at=None)),
        ),
    ],
    ids=lambda value: value.name if isinstance(value, Scheduler) else "",
)
def test_the_age_is_that_since_the_row_became_due(
    scheduler: Scheduler, rows: tuple[Row, Row], database: TestDatabase
) -> None:
    for row in rows:
        row.insert(database)
    assert preview(database, scheduler).ages == Ages(day=1, unknown=1)


def test_the_age_of_a_shortage_is_not_known(database: TestDatabase) -> None:
    STOCK_LEVEL.insert(database)
    shown = preview(database, stock_level.SCHEDULER, quiet_until=NOW - 30 * DAY)
    assert (shown.ages, shown.events) == (Ages(unknown=len(STOCK_LEVEL.due)), 0)


@pytest.mark.parametrize(
    ("scheduler", "row", "over", "back"),
    [
        (item_expiration.SCHEDULER, item(), "deleted_at = now()", "deleted_at = NULL"),
        (stock_level.SCHEDULER, variant(2, stored()), "min_sku = 1", "min_sku = 2"),
    ],
    ids=["item-expiration", "stock-level"],
)
def test_a_quiet_alert_stays_quiet_until_it_was_over(
    scheduler: Scheduler, row: Row, over: str, back: str, database: TestDatabase
) -> None:
    row.insert(database)
    run_pass(database, scheduler, quiet_until=NOW)
    assert run_pass(database, scheduler, now=NOW + 400 * DAY).processed == 0

    database.query(f"UPDATE {row.table} SET {over}")
    assert run_pass(database, scheduler, now=NOW + 401 * DAY).details["forgotten"] == 1
    database.query(f"UPDATE {row.table} SET {back}")
    assert run_pass(database, scheduler, now=NOW + 402 * DAY).events == 1
