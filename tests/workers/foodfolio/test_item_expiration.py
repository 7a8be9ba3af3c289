"""item-expiration: the content of its messages, and how an item goes from soon to expired."""

from testing.database import TestDatabase
from testing.passes import DAY, HOUR, MICROSECOND, NOW, NOW_TEXT, announcement, outbox, run_pass
from testing.scheduler_cases.foodfolio import item
from workers.foodfolio import item_expiration

EXPIRED = "foodfolio.detail.expired"
SOON = "foodfolio.detail.expiring.soon"


def test_an_expired_item_is_announced_as_expired(database: TestDatabase) -> None:
    row = item(expiry_date=NOW).insert(database)

    result = run_pass(database, item_expiration.SCHEDULER)

    [event] = outbox(database)
    fields = {
        "detail_id": str(row["id"]),
        "variant_id": str(row["item_variant_id"]),
        "expiry_date": NOW_TEXT,
        "detected_at": NOW_TEXT,
    }
    assert event == announcement(event, "foodfolio", EXPIRED, row["id"], fields)
    assert (result.details["expired"], result.details["expiring_soon"]) == (1, 0)


def test_an_item_that_expires_soon_is_announced_with_the_days_left(database: TestDatabase) -> None:
    row = item(expiry_date=NOW + 2 * DAY + 3 * HOUR).insert(database)

    result = run_pass(database, item_expiration.SCHEDULER)

    [event] = outbox(database)
    fields = {
        "detail_id": str(row["id"]),
        "variant_id": str(row["item_variant_id"]),
        "expiry_date": "2024-03-02T15:00:00.500000Z",
        "days_left": 2,
        "detected_at": NOW_TEXT,
    }
    assert event == announcement(event, "foodfolio", SOON, row["id"], fields)
    assert (result.details["expired"], result.details["expiring_soon"]) == (0, 1)


def test_the_days_left_are_whole_days_rounded_down(database: TestDatabase) -> None:
    days_left = {
        MICROSECOND: 0,
        DAY - MICROSECOND: 0,
        DAY: 1,
        2 * DAY - MICROSECOND: 1,
        7 * DAY - MICROSECOND: 6,
        7 * DAY: 7,
    }
    for left in days_left:
        item(expiry_date=NOW + left).insert(database)

    run_pass(database, item_expiration.SCHEDULER)

    announced = sorted(event["payload"]["days_left"] for event in outbox(database))
    assert announced == list(days_left.values())


def test_the_change_from_soon_to_expired_is_announced_and_the_hours_before_are_not(
    database: TestDatabase,
) -> None:
    item(expiry_date=NOW + 5 * HOUR).insert(database)

    topics = []
    for hours in (0, 4, 5, 6):
        run_pass(database, item_expiration.SCHEDULER, now=NOW + hours * HOUR)
        topics.append([event["topic"] for event in outbox(database)])

    assert topics == [[SOON], [SOON], [SOON, EXPIRED], [SOON, EXPIRED]]


def test_the_days_of_warning_are_a_setting(database: TestDatabase) -> None:
    item(expiry_date=NOW + 7 * DAY).insert(database)
    item(expiry_date=NOW + 14 * DAY).insert(database)

    events = [
        run_pass(database, item_expiration.SCHEDULER, ITEM_EXPIRATION_WARNING_DAYS=days).events
        for days in ("0", "6", "13", "14")
    ]

    # What a shorter warning forgets, a longer one raises again.
    assert events == [0, 0, 1, 1]
