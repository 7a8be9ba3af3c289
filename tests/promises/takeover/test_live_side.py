"""Beside the Go services, as live_side.py plays them: what docs/takeover.md says of them holds."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

import workers
from common.logging.formatter import OURS
from common.scheduling.scheduler import Scheduler
from devservers.checkout import ROOT
from devservers.child_processes import PATIENCE, poll_until
from devservers.standins.webhook_receiver import WebhookReceiver
from testing.database import TestDatabase
from testing.passes import DAY, MINUTE, NOW, outbox, preview, run_pass
from testing.processes import environment, toast
from testing.scheduler_cases import CASES
from testing.scheduler_cases.blog import post
from testing.scheduler_cases.foodfolio import STOCK_LEVEL, item
from testing.scheduler_cases.link import link
from testing.scheduler_cases.notification import notification
from testing.scheduler_cases.twitchbot import message, stream
from testing.scheduler_cases.webhook import attempt, delivery, old_delivery, webhook
from testing.scheduler_rows import Row
from tests.promises.takeover.live_side import DEFAULT_TOPICS, SCHEDULERS, LivePool, at
from tests.workers.webhook.deliveries import add, deliver
from workers.notification import notification_retry
from workers.twitchbot import stream_closer
from workers.warcraft import character_sync, guild_sync
from workers.webhook import delivery_adoption, webhook_delivery, webhook_retry

PAGE = (ROOT / "docs" / "takeover.md").read_text("utf-8")
# What to compare a dry run with, by scheduler; and how to give old failed rows up.
COMPARE = dict(re.findall(r"^-- ([\w-]+).*\n((?:(?!--|```).*\n)+)", PAGE, re.MULTILINE))
GIVE_UP = "".join(re.findall(r"^UPDATE webhook_deliveries .*\n.*\n", PAGE, re.MULTILINE))

SERVICES = {
    scheduler.name: (name, scheduler)
    for name in workers.SERVICES
    for scheduler in workers.load(name).schedulers
}
TOPICS = {topic for name in workers.SERVICES for topic in workers.load(name).topics}
UNIQUE = {case.scheduler.name: case.unique for case in CASES}
POOL = LivePool()


def compared(database: TestDatabase, scheduler: str, now: datetime = NOW) -> int:
    """The count that the page says to compare with."""
    return int(database.one(at(now, COMPARE[scheduler]))["count"])


# --- what to compare instead of the live log --------------------------------------------------


def failed(**channel: object) -> Row:
    open_channel = Row("notification_channels", {"active": True, **channel})
    return notification(status="failed", attempt_count=2, channel_id=open_channel)


def character(*last_synced: object, **columns: object) -> Row:
    details = [Row("character_details", {"last_synced_at": each}) for each in last_synced]
    return Row("characters", columns, {"character_id": details} if details else {})


def guild(last_synced: object, **columns: object) -> Row:
    return Row("guilds", {"last_synced_at": last_synced, **columns})


# Of each scheduler, rows that are due and rows that are not, and how many are.
MIXED: Sequence[tuple[Scheduler, Sequence[Row], int]] = [
    *(
        (case.scheduler, [*case.due.values(), *case.stays.values()], len(case.due))
        for case in CASES
    ),
    (
        notification_retry.SCHEDULER,
        [failed(), failed(active=False), failed(deleted_at=NOW), notification(status="pending")],
        1,
    ),
    (
        character_sync.SCHEDULER,
        [
            *(character(), character(None), character(NOW - timedelta(hours=5.4))),
            *(character(NOW - timedelta(hours=5)), character(deleted_at=NOW)),
        ],
        3,
    ),
    (
        guild_sync.SCHEDULER,
        [
            *(guild(None), guild(NOW - timedelta(hours=10.8))),
            *(guild(NOW - timedelta(hours=10)), guild(None, deleted_at=NOW)),
        ],
        2,
    ),
]


@pytest.mark.parametrize(
    ("scheduler", "rows", "due"), MIXED, ids=[scheduler.name for scheduler, *_ in MIXED]
)
def test_the_count_to_compare_with_is_that_of_the_dry_run(
    scheduler: Scheduler, rows: Sequence[Row], due: int, database: TestDatabase
) -> None:
    for row in rows:
        row.insert(database)
    assert (compared(database, scheduler.name), preview(database, scheduler).count) == (due, due)


# --- what the live passes leave ---------------------------------------------------------------

# A row that is due, and so many others that fill the page of the live query before it: newer ones,
# or those written earlier where it has no order.
LEFT = {
    "post-publisher": (post(created_at=NOW), Row("blog_posts", {"status": "draft"}), 100),
    "item-expiration": (item(), item(expiry_date=None), 1000),
    "link-expiration": (link(), None, 0),
    "notification-cleanup": (notification(), None, 0),
    "message-cleanup": (message(), Row("twitchbot_messages", {}), 10_000),
    "stream-closer": (
        stream(started_at=NOW),
        Row("twitchbot_streams", {"is_active": True}),
        100,
    ),
    "webhook-retry": (delivery(created_at=NOW), delivery(attempt_count=3), 100),
    "webhook-cleanup": (old_delivery(), None, 0),
}
OLD = 3
# Those that they find, and only mark.
MARKED = ("notification-cleanup", "webhook-cleanup")


@pytest.mark.parametrize("name", LEFT)
def test_a_first_pass_is_what_the_live_passes_have_left(name: str, database: TestDatabase) -> None:
    service, scheduler = SERVICES[name]
    row, newer, page = LEFT[name]
    if newer:
        newer.insert_many(database, page, UNIQUE[name])
    for _ in range(OLD):
        row.insert(database)
    now = datetime.now(UTC)

    marked = SCHEDULERS[name].run(database, now)
    assert SCHEDULERS[name].run(database, now) == 0

    assert marked == (OLD if name in MARKED else 0)
    answer = toast("takeover", service, name, "--json", env=environment(database))
    [planned] = json.loads(answer.out)["schedulers"]
    assert planned["due"] == compared(database, name, now) == OLD
    assert run_pass(database, scheduler, now=now).processed == OLD
    assert preview(database, scheduler, now=now).count == 0


def test_the_page_says_how_to_give_old_failed_rows_up(database: TestDatabase) -> None:
    now = datetime.now(UTC)
    recent = delivery(updated_at=now - 6 * DAY).insert(database)["id"]
    delivery(updated_at=now - 8 * DAY).insert(database)

    database.query(GIVE_UP)

    assert [row["id"] for row in preview(database, webhook_retry.SCHEDULER).rows] == [recent]


def test_the_live_stock_level_takes_every_variant_for_empty(database: TestDatabase) -> None:
    reasons = STOCK_LEVEL.insert(database)
    announced = SCHEDULERS["stock-level"].read(database, NOW)
    run_pass(database, SERVICES["stock-level"][1])

    assert {reasons[row] for row in announced} == {*reasons.values()} - {"soft-deleted"}
    empty = {event["key"] for event in outbox(database) if event["topic"].endswith(".empty")}
    short = {reasons[UUID(key)] for key in empty}
    assert short == set(STOCK_LEVEL.due) - {"one of a minimum of two"}


# --- while both run ---------------------------------------------------------------------------

BOTH = {
    "post-publisher": post(),
    "stream-closer": stream(),
    "webhook-retry": delivery(),
}


@pytest.mark.parametrize("name", BOTH)
def test_a_live_pass_does_again_what_it_has_read_and_a_worker_does_not(
    name: str, database: TestDatabase
) -> None:
    live, scheduler = SCHEDULERS[name], SERVICES[name][1]
    BOTH[name].insert(database)

    read = live.read(database, NOW)
    assert run_pass(database, scheduler).processed == 1
    assert live.change(database, NOW, read) == 1

    assert run_pass(database, scheduler).processed == 0


def test_only_the_live_service_ends_the_chat_only_row(database: TestDatabase) -> None:
    row = {"id": stream_closer.CHAT_ONLY, "updated_at": NOW - DAY + MINUTE}
    before = stream(**row).insert(database)
    live, later = SCHEDULERS["stream-closer"], NOW + 2 * MINUTE

    assert live.run(database, NOW) == run_pass(database, stream_closer.SCHEDULER).processed == 0
    assert run_pass(database, stream_closer.SCHEDULER, now=later).processed == 0
    assert database.one("SELECT * FROM twitchbot_streams") == before
    assert live.run(database, later) == 1


# --- the delivery pool ------------------------------------------------------------------------


def test_the_live_pool_takes_what_webhook_retry_schedules(database: TestDatabase) -> None:
    row = delivery().insert(database)["id"]
    run_pass(database, webhook_retry.SCHEDULER)
    assert POOL.read(database, NOW) == []
    assert POOL.read(database, NOW + 2 * MINUTE) == [row]


@pytest.mark.parametrize(("maximum", "retries"), [(1, 4), (2, 2), (3, 2)])
def test_a_dead_receiver_is_not_retried_without_end_beside_the_live_pool(
    database: TestDatabase, maximum: int, retries: int
) -> None:
    pool, ours = LivePool(maximum), {"WEBHOOK_MAX_RETRIES": "5"}
    delivery(attempt(attempt_number=1)).insert(database)
    for _ in range(retries):
        assert run_pass(database, webhook_retry.SCHEDULER, **ours).processed == 1
        pool.fail(database, NOW, pool.read(database, NOW + DAY))

    assert run_pass(database, webhook_retry.SCHEDULER, **ours).processed == 0
    row = database.one("SELECT status, attempt_count FROM webhook_deliveries")
    assert (row["status"], row["attempt_count"]) == ("failed", maximum)


def test_of_an_inactive_webhook_only_the_live_service_retries_without_end(
    database: TestDatabase,
) -> None:
    delivery(webhook_id=webhook(active=False)).insert(database)
    for _ in range(4):
        assert SCHEDULERS["webhook-retry"].run(database, NOW) == 1
        POOL.refuse(database, NOW, POOL.read(database, NOW + DAY))
    assert run_pass(database, webhook_retry.SCHEDULER).processed == 0


def test_nobody_takes_what_a_crash_left_until_it_is_adopted(database: TestDatabase) -> None:
    given = {"attempt_count": 0, "updated_at": NOW - DAY}
    delivery(status="pending", **given).insert(database)
    delivery(status="retrying", next_retry_at=None, **given).insert(database)
    schedulers = (webhook_retry.SCHEDULER, webhook_delivery.SCHEDULER)

    assert POOL.read(database, NOW) == SCHEDULERS["webhook-retry"].read(database, NOW) == []
    assert [preview(database, scheduler).count for scheduler in schedulers] == [0, 0]

    run_pass(database, delivery_adoption.SCHEDULER)
    assert run_pass(database, webhook_retry.SCHEDULER).processed == 2
    assert len(POOL.read(database, NOW + DAY)) == 2


def test_the_live_pool_sends_what_it_had_read_before_our_lease_and_the_log_says_so(
    database: TestDatabase, caplog: pytest.LogCaptureFixture
) -> None:
    with WebhookReceiver() as receiver, ThreadPoolExecutor() as threads:
        row = add(database, f"{receiver.url}/slow")
        read = POOL.read(database, NOW)

        def live_pool() -> list[UUID]:
            poll_until(lambda: len(receiver.received) == 1, PATIENCE, 0.01)
            found = POOL.read(database, NOW)
            POOL.deliver(database, NOW, read)
            return found

        found = threads.submit(live_pool)
        result = deliver(database)

    assert (read, found.result()) == ([row], [])
    assert (result.processed, result.details) == (0, {"overtaken": 1})
    [record] = [each for each in caplog.records if each.message.startswith("lease_")]
    assert (record.message, vars(record)[OURS]["status"]) == ("lease_ignored", "success")
    assert "does the live pool run, too?" in vars(record)[OURS]["reason"]


# --- topics -----------------------------------------------------------------------------------


def test_the_page_names_the_topics_that_live_consumers_lack() -> None:
    missing = TOPICS - DEFAULT_TOPICS
    assert (len(TOPICS & DEFAULT_TOPICS), len(missing)) == (5, 5)
    assert missing == {
        "blog.post.scheduled.published",
        *(topic for topic in TOPICS if topic.startswith("warcraft.")),
    }
    assert "lacks\n`blog.post.scheduled.published` and all four of warcraft" in PAGE

    [value] = re.findall(r"^KAFKA_TOPICS=(.*)$", PAGE, re.MULTILINE)
    others = ",".join(sorted(DEFAULT_TOPICS - TOPICS))
    topics = value.replace("<its other topics>", others).split(",")
    assert sorted(topics) == sorted(DEFAULT_TOPICS | TOPICS)
