"""webhook-retry: when a delivery is tried again, and when no more."""

from testing.database import TestDatabase
from testing.passes import MINUTE, NOW, run_pass
from testing.scheduler_cases.webhook import delivery
from workers.webhook import webhook_retry


def test_the_distance_doubles_with_each_attempt_up_to_a_day(database: TestDatabase) -> None:
    minutes = {0: 1, 1: 2, 2: 4, 3: 8, 9: 512, 10: 1024, 11: 1440, 12: 1440, 999: 1440}
    for attempts in minutes:
        delivery(attempt_count=attempts).insert(database)

    run_pass(database, webhook_retry.SCHEDULER, WEBHOOK_MAX_RETRIES="1000")

    rows = database.query("SELECT attempt_count, next_retry_at FROM webhook_deliveries")
    planned = {row["attempt_count"]: (row["next_retry_at"] - NOW) / MINUTE for row in rows}
    assert planned == minutes


def test_the_number_of_attempts_is_a_setting(database: TestDatabase) -> None:
    for attempts in range(5):
        delivery(attempt_count=attempts).insert(database)

    processed = [
        run_pass(database, webhook_retry.SCHEDULER, WEBHOOK_MAX_RETRIES=most).processed
        for most in ("1", "3", "4", "4")
    ]

    assert processed == [1, 2, 1, 0]


def test_a_delivery_behind_thousands_without_attempts_left_is_reached(
    database: TestDatabase,
) -> None:
    delivery(attempt_count=3).insert_many(database, 5_500, unique="")
    behind = delivery().insert(database)["id"]

    assert run_pass(database, webhook_retry.SCHEDULER).processed == 1

    rows = database.query("SELECT id FROM webhook_deliveries WHERE status = 'retrying'")
    assert [row["id"] for row in rows] == [behind]
