"""stock-level: what counts as stock, and the content of the messages."""

from testing.database import TestDatabase
from testing.passes import DAY, MICROSECOND, NOW, NOW_TEXT, announcement, outbox, run_pass
from testing.scheduler_cases.foodfolio import stored, variant
from workers.foodfolio import stock_level

EMPTY = "foodfolio.variant.stock.empty"
LOW = "foodfolio.variant.stock.low"


def test_a_variant_with_no_stock_is_announced_as_empty(database: TestDatabase) -> None:
    row = variant(3, variant_name="Milch 1 l").insert(database)

    result = run_pass(database, stock_level.SCHEDULER)

    [event] = outbox(database)
    fields = {
        "variant_id": str(row["id"]),
        "item_id": str(row["item_id"]),
        "variant_name": "Milch 1 l",
        "detected_at": NOW_TEXT,
    }
    assert event == announcement(event, "foodfolio", EMPTY, row["id"], fields)
    assert (result.details["empty"], result.details["low"]) == (1, 0)


def test_a_variant_below_its_minimum_is_announced_as_low_with_both_numbers(
    database: TestDatabase,
) -> None:
    row = variant(3, stored(), stored(), variant_name="Milch 1 l").insert(database)

    result = run_pass(database, stock_level.SCHEDULER)

    [event] = outbox(database)
    fields = {
        "variant_id": str(row["id"]),
        "item_id": str(row["item_id"]),
        "variant_name": "Milch 1 l",
        "current_stock": 2,
        "min_sku": 3,
        "detected_at": NOW_TEXT,
    }
    assert event == announcement(event, "foodfolio", LOW, row["id"], fields)
    assert (result.details["empty"], result.details["low"]) == (0, 1)


def test_stock_is_what_is_neither_opened_nor_consumed(database: TestDatabase) -> None:
    items = {
        "expired, frozen": [stored(expiry_date=NOW - DAY), stored(is_frozen=True)],
        "opened": [stored(), stored(is_opened=True)],
        "opened yesterday": [stored(), stored(is_opened=True, opened_date=NOW - DAY)],
        "consumed": [stored(), stored(deleted_at=NOW - DAY)],
        "opened 30 days ago": [stored(), stored(opened_date=NOW - 30 * DAY)],
        "longer ago": [stored(), stored(opened_date=NOW - 30 * DAY - MICROSECOND)],
    }
    for name, stock in items.items():
        variant(9, *stock, variant_name=name).insert(database)

    run_pass(database, stock_level.SCHEDULER)

    payloads = [event["payload"] for event in outbox(database)]
    assert {payload["variant_name"]: payload["current_stock"] for payload in payloads} == {
        "expired, frozen": 2,
        "opened": 1,
        "opened yesterday": 1,
        "consumed": 1,
        "opened 30 days ago": 2,
        "longer ago": 1,
    }


def test_each_change_between_low_and_empty_is_announced(database: TestDatabase) -> None:
    variant(2, stored()).insert(database)

    topics = []
    for opened in (False, True, False):
        database.query("UPDATE foodfolio_item_details SET is_opened = %s", opened)
        run_pass(database, stock_level.SCHEDULER)
        topics.append(outbox(database)[-1]["topic"])

    assert topics == [LOW, EMPTY, LOW]
    assert len(outbox(database)) == 3
