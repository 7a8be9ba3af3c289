"""Rows that a crash of the live service left: `toast check` counts them, and
`toast takeover --adopt` lets them be sent again, or gives them up."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from common.scheduling.scheduler import Scheduler
from testing.database import TestDatabase
from testing.passes import DAY, HOUR, MINUTE, NOW, preview, run_pass
from testing.processes import environment, toast
from testing.scheduler_cases.webhook import delivery, webhook
from testing.scheduler_rows import Row
from workers.notification import notification_adoption
from workers.webhook import delivery_adoption, webhook_retry


def notification(**columns: object) -> Row:
    return Row("notification_notifications", {"attempt_count": 0, **columns})


def waiting(**columns: object) -> Row:
    return delivery(**{"attempt_count": 0, "updated_at": NOW - 2 * HOUR, **columns})


CASES = {
    "notification": (
        notification_adoption.SCHEDULER,
        notification(status="pending", updated_at=NOW - 2 * HOUR),
        notification(status="pending", updated_at=NOW - 30 * DAY),
        [
            notification(status="pending", updated_at=NOW - HOUR + MINUTE),
            notification(status="pending", updated_at=NOW - DAY, deleted_at=NOW - HOUR),
            notification(status="failed", updated_at=NOW - DAY),
            notification(status="success", updated_at=NOW - DAY),
        ],
    ),
    "delivery": (
        delivery_adoption.SCHEDULER,
        waiting(status="pending"),
        waiting(status="retrying", next_retry_at=None, updated_at=NOW - 30 * DAY),
        [
            waiting(status="pending", updated_at=NOW - HOUR + MINUTE),
            waiting(status="retrying", next_retry_at=None, updated_at=NOW - HOUR + MINUTE),
            waiting(status="retrying", next_retry_at=NOW - DAY),
            waiting(status="pending", deleted_at=NOW - HOUR),
            waiting(status="success"),
        ],
    ),
}


@pytest.mark.parametrize(("scheduler", "recent", "old", "stays"), CASES.values(), ids=CASES)
def test_what_nobody_takes_is_tried_again_or_given_up(
    scheduler: Scheduler, recent: Row, old: Row, stays: list[Row], database: TestDatabase
) -> None:
    tried, given_up = recent.insert(database)["id"], old.insert(database)["id"]
    others = [row.insert(database) for row in stays]

    shown = preview(database, scheduler, quiet_until=NOW - DAY)
    done = run_pass(database, scheduler, quiet_until=NOW - DAY)
    again = run_pass(database, scheduler)

    assert (shown.count, shown.events, done.processed, done.events) == (2, 1, 2, 0)
    assert again.processed == 0

    def row(wanted: UUID) -> dict[str, object]:
        return database.one(f"SELECT * FROM {recent.table} WHERE id = %s", wanted)

    for wanted, attempts in ((tried, 0), (given_up, 3)):
        adopted = row(wanted)
        assert (adopted["status"], adopted["attempt_count"]) == ("failed", attempts)
        assert adopted["last_error"] == "left by a crash of the live service"
        assert adopted["updated_at"] == NOW
    assert [row(other["id"]) for other in others] == others


def test_an_adopted_delivery_is_scheduled_and_one_given_up_is_not(database: TestDatabase) -> None:
    receiver = webhook().insert(database)["id"]
    for age in (2 * HOUR, 30 * DAY):
        waiting(status="pending", webhook_id=receiver, updated_at=NOW - age).insert(database)
    run_pass(database, delivery_adoption.SCHEDULER, quiet_until=NOW - DAY)
    run_pass(database, webhook_retry.SCHEDULER)
    statuses = database.query("SELECT status FROM webhook_deliveries ORDER BY 1")
    assert [row["status"] for row in statuses] == ["failed", "retrying"]


def test_an_operator_finds_and_adopts_them(database: TestDatabase) -> None:
    left_at = datetime.now(UTC).replace(microsecond=0) - timedelta(days=3)
    channel = database.insert("notification_channels", active=True)["id"]
    left = notification(status="pending", updated_at=left_at, channel_id=channel)
    left.insert(database)
    env = environment(database)

    found = json.loads(toast("check", "notification", "--json", env=env).out)
    [finding] = [each for each in found if each["check"] == "left rows"]
    assert (finding["level"], finding["message"], finding["fix"]) == (
        "warning",
        "1 rows of notification_notifications were left by a crash of the live service, and"
        f" nobody takes them; the oldest since {left_at:%Y-%m-%d %H:%M:%S} UTC",
        "`toast takeover notification --adopt` shows them and lets them be sent",
    )

    adopting = ("takeover", "notification", "--adopt")
    shown = toast(*adopting, env=env)
    assert shown.out.splitlines() == [
        "SCHEDULER              DUE  1 DAY  7 DAYS  30 DAYS  OLDER  UNKNOWN  TRIED AGAIN",
        "notification-adoption    1      0       1        0      0        0            1",
    ]
    assert database.count("notification_notifications WHERE status = 'pending'") == 1
    assert toast(*adopting, "--announce", "all", "--yes", env=env).code == 0
    assert database.count("notification_notifications WHERE status = 'failed'") == 1
    found = json.loads(toast("check", "notification", "--json", env=env).out)
    assert "left rows" not in [each["check"] for each in found]


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        ("link --adopt", "link has no rows that a crash of the live service leaves"),
        ("webhook webhook-retry --adopt", "--adopt is for a whole service: leave SCHEDULER out"),
    ],
)
def test_a_wrong_use_says_why(words: str, complaint: str, database: TestDatabase) -> None:
    answer = toast("takeover", *words.split(), env=environment(database))
    assert (answer.code, answer.err) == (2, f"toast: {complaint}\n")
