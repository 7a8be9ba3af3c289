"""webhook-retry: when a delivery is tried again, and when no more."""

import pytest

from testing.database import TestDatabase
from testing.passes import MINUTE, NOW, run_pass
from testing.scheduler_cases.webhook import attempt, delivery
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


# What the live pool does with a delivery whose receiver is dead: it numbers the attempts of each
# retry from 1, up to its own maximum, and stores the last number.
LIVE_POOL = """
WITH retried AS (
    UPDATE webhook_deliveries SET status = 'failed', attempt_count = %(own_maximum)s,
        next_retry_at = NULL WHERE status = 'retrying' RETURNING id
)
INSERT INTO webhook_delivery_attempts (delivery_id, attempt_number, request_url, request_headers,
    request_body, response_status, response_headers, response_body, success, error, duration_ms,
    created_at)
SELECT id, number, '', '', '', 503, '', '', false, 'HTTP 503', 1, now()
FROM retried, generate_series(1, %(own_maximum)s) AS number"""


@pytest.mark.parametrize(("own_maximum", "retries"), [(1, 4), (2, 2), (3, 2)])
def test_a_dead_receiver_is_not_retried_without_end_beside_the_live_pool(
    database: TestDatabase, own_maximum: int, retries: int
) -> None:
    delivery(attempt(attempt_number=1)).insert(database)
    for _ in range(retries):
        planned = run_pass(database, webhook_retry.SCHEDULER, WEBHOOK_MAX_RETRIES="5")
        assert planned.processed == 1
        with database.connect() as live_pool:
            live_pool.execute(LIVE_POOL, {"own_maximum": own_maximum})

    assert run_pass(database, webhook_retry.SCHEDULER, WEBHOOK_MAX_RETRIES="5").processed == 0
    [row] = database.query("SELECT attempt_count FROM webhook_deliveries")
    assert row["attempt_count"] == own_maximum < 5
