"""`toast why`: what it says of a row of each kind, and of one that it cannot find."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from devservers.standins.sse import SseServer, new_client
from testing.database import TestDatabase
from testing.passes import DAY, HOUR, MINUTE, run_pass
from testing.processes import Finished, environment, toast
from testing.scheduler_cases.blog import post
from testing.scheduler_cases.foodfolio import item
from testing.scheduler_cases.link import link as expired_link
from testing.scheduler_cases.notification import notification
from testing.scheduler_cases.twitchbot import message, stream
from testing.scheduler_cases.webhook import delivery, old_delivery, webhook
from testing.scheduler_rows import Row
from tests.support.outbox_rows import add_event, set_aside
from workers.foodfolio import item_expiration


def soon() -> datetime:
    """A bit after now: whole units from now on are rounded down."""
    return datetime.now(UTC) + MINUTE


@pytest.fixture
def env(module_database: TestDatabase) -> dict[str, str]:
    return environment(module_database)


def link(database: TestDatabase, **columns: object) -> UUID:
    values = {"expires_at": soon() + 4 * DAY, **columns}
    row: UUID = database.insert("link_links", **values)["id"]
    return row


def why(env: dict[str, str], *arguments: object) -> dict[str, Any]:
    answer = toast("why", *map(str, arguments), "--json", env=env)
    assert answer.code == 0, answer.err
    found: dict[str, Any] = json.loads(answer.out)
    return found


def text(env: dict[str, str], *arguments: object) -> str:
    answer = toast("why", *map(str, arguments), env=env)
    assert answer.code == 0, answer.err
    return answer.out


def unmet(found: dict[str, Any]) -> list[str]:
    return [each["name"] for each in found["conditions"] if not each["met"]]


def line_of(shown: str, name: str) -> str:
    [line] = [line for line in shown.splitlines() if line.startswith(f"{name}  ")]
    return " ".join(line.removeprefix(name).split())


def test_a_row_whose_time_has_not_come_is_said_with_its_time(
    module_database: TestDatabase, env: dict[str, str]
) -> None:
    expires_at = soon() + 4 * DAY
    row = link(module_database, expires_at=expires_at)
    shown = text(env, "link", "link-expiration", str(row).upper())
    at = f"{expires_at:%Y-%m-%d %H:%M:%S} UTC, in 4 d"
    first, second, *_ = shown.splitlines()
    assert first == f"link-expiration: link_links {row} is not due before {at}"
    assert second.endswith(f"; expires_at {at}")
    assert line_of(shown, "active") == "yes is_active true"
    assert line_of(shown, "not deleted") == "yes deleted_at NULL"
    assert line_of(shown, "expires_at has come") == f"not yet expires_at {at}"
    assert line_of(shown, "set aside") == "no"
    assert line_of(shown, "events") == (
        "none waits or is set aside; an earlier one is in link.expired with this key,"
        " unless it was dropped"
    )
    assert line_of(shown, "last pass") == "none is recorded"
    assert line_of(shown, "next pass") == "when its worker starts, then every 1h"


def test_what_is_never_met_is_no_matter_of_time(
    module_database: TestDatabase, env: dict[str, str]
) -> None:
    row = link(module_database, expires_at=None, deleted_at=soon())
    found = why(env, "link", "link-expiration", row)
    assert (found["due"], unmet(found)) == (False, ["not deleted", "expires_at has come"])
    shown = text(env, "link", "link-expiration", row)
    assert shown.splitlines()[0].endswith("is not due: 2 of 4 conditions not met")
    assert line_of(shown, "not deleted").startswith("no ")
    assert line_of(shown, "expires_at has come") == "no expires_at NULL"


# The time that decides, by scheduler: a due row but for it, and the condition.
TIMES = {
    "blog post-publisher": (post(), "published_at", "published_at has come"),
    "foodfolio item-expiration": (item(), "expiry_date", "expired, or will soon"),
    "link link-expiration": (expired_link(), "expires_at", "expires_at has come"),
    "notification notification-cleanup": (notification(), "created_at", "older than it is kept"),
    "twitchbot message-cleanup": (message(), "created_at", "older than it is kept"),
    "twitchbot stream-closer": (stream(), "updated_at", "without an update for too long"),
    "webhook webhook-cleanup": (old_delivery(), "created_at", "older than it is kept"),
    "webhook webhook-delivery": (
        delivery(status="retrying"),
        "next_retry_at",
        "next_retry_at has come",
    ),
    "warcraft guild-sync": (Row("guilds"), "last_synced_at", "not synced within the interval"),
}
ENDS = {
    "infinity": "not yet {} the end of time (infinity, or the year 9999 and later)",
    "-infinity": "yes {} the beginning of time (-infinity, or the year 1 and before)",
}


@pytest.mark.parametrize("job", TIMES)
@pytest.mark.parametrize("moment", ENDS)
def test_the_ends_of_time_are_told_for_every_condition(
    job: str, moment: str, module_database: TestDatabase, env: dict[str, str]
) -> None:
    row, column, condition = TIMES[job]
    given = row.insert(module_database)["id"]
    module_database.query(f"UPDATE {row.table} SET {column} = %s WHERE id = %s", moment, given)
    found = line_of(text(env, *job.split(), given), condition)
    assert found.split(";")[0] == ENDS[moment].format(column)


def test_a_row_that_is_set_aside_is_said_with_its_reason(
    module_database: TestDatabase, env: dict[str, str]
) -> None:
    row = link(module_database, expires_at=soon() - HOUR)
    assert why(env, "link", "link-expiration", row)["due"]
    module_database.insert(
        "toast_failed_rows",
        scheduler="link-expiration",
        row_id=row,
        reason="a trigger refused it",
        failures=2,
        retry_at=soon() + HOUR,
    )
    found = why(env, "link", "link-expiration", row)
    assert (found["due"], unmet(found)) == (False, ["not set aside"])
    assert found["set_aside"]["reason"] == "a trigger refused it"
    aside = line_of(text(env, "link", "link-expiration", row), "set aside")
    assert aside.endswith(", in 1 h; failed 2 times: a trigger refused it")


def test_events_of_the_row_are_named_whether_they_wait_or_were_set_aside(
    module_database: TestDatabase, env: dict[str, str]
) -> None:
    row = link(module_database, is_active=False)
    refused, waits = (add_event(module_database, key=str(row)) for _ in range(2))
    set_aside(module_database, refused, error="Message size too large")
    add_event(module_database, key=str(uuid4()))
    found = why(env, "link", "link-expiration", row)
    assert [event["id"] for event in found["events"]] == [refused, waits]
    shown = text(env, "link", "link-expiration", row)
    first = line_of(shown, "events")
    assert first.startswith(f"{refused} link.expired of 2026-01-02 03:04:05 UTC, ")
    assert first.endswith(": Message size too large")
    assert f"{waits} link.expired of 2026-01-02 03:04:05 UTC, " in shown


def test_the_passes_of_the_scheduler_and_its_switch_are_told(
    module_database: TestDatabase, env: dict[str, str]
) -> None:
    row = link(module_database)
    module_database.insert(
        "toast_runs",
        service="link",
        scheduler="link-expiration",
        result="ok",
        counts='{"processed": 3}',
        started_at=soon() - HOUR / 2,
        finished_at=soon() - HOUR / 2,
    )
    shown = text(env, "link", "link-expiration", row)
    module_database.query("DELETE FROM toast_runs")
    assert line_of(shown, "last pass").endswith("min ago; ok; 3 processed")
    assert line_of(shown, "next pass").endswith("min, every 1h, if its worker runs")
    off = text({**env, "LINK_EXPIRATION_ENABLED": "false"}, "link", "link-expiration", row)
    assert line_of(off, "next pass") == "none: LINK_EXPIRATION_ENABLED=false (environment)"


def test_a_pause_is_why_there_is_no_pass(
    module_database: TestDatabase, env: dict[str, str]
) -> None:
    row = link(module_database)
    pause = ("link", "link-expiration", "--indefinitely", "--reason", "the index is rebuilt")
    assert toast("pause", *pause, env=env).code == 0
    shown = text(env, "link", "link-expiration", row)
    found = why(env, "link", "link-expiration", row)
    assert toast("resume", "link", env=env).code == 0
    assert line_of(shown, "pause").startswith("paused until it is resumed, by ")
    assert line_of(shown, "next pass") == "when the scheduler is resumed"
    assert (found["pause"]["reason"], found["next_pass"]) == ("the index is rebuilt", None)
    assert line_of(text(env, "link", "link-expiration", row), "pause") == "none"


def test_an_alert_that_was_raised_is_why_there_is_no_other(
    module_database: TestDatabase, env: dict[str, str]
) -> None:
    item = module_database.insert("foodfolio_item_details", expiry_date=soon() - DAY)["id"]
    before = why(env, "foodfolio", "item-expiration", item)
    assert (before["due"], before["alert"]) == (True, None)
    run_pass(module_database, item_expiration.SCHEDULER, now=datetime.now(UTC))
    after = why(env, "foodfolio", "item-expiration", item)
    assert unmet(after) == ["no alert with the same facts within the interval"]
    assert after["alert"]["facts"].startswith("expired ")
    assert [event["topic"] for event in after["events"]] == ["foodfolio.detail.expired"]
    alert = line_of(text(env, "foodfolio", "item-expiration", item), "alert")
    assert alert.startswith("raised ")
    assert ": expired " in alert


def test_attempts_and_the_setting_they_are_compared_with_are_told(
    module_database: TestDatabase, env: dict[str, str]
) -> None:
    hook = webhook(active=False)
    row = delivery(attempt_count=3, webhook_id=hook).insert(module_database)["id"]
    found = why({**env, "WEBHOOK_MAX_RETRIES": "2"}, "webhook", "webhook-retry", row)
    assert unmet(found) == ["attempts left", "webhook active"]
    [attempts] = [each for each in found["conditions"] if each["name"] == "attempts left"]
    assert (attempts["values"], attempts["settings"]) == (
        {"attempt_count": 3},
        {"WEBHOOK_MAX_RETRIES": "2"},
    )
    shown = text(env, "webhook", "webhook-retry", row)
    assert line_of(shown, "webhook active") == "no webhook.active false; webhook.deleted_at NULL"


def test_a_client_is_looked_for_in_the_sse_service(env: dict[str, str]) -> None:
    now = datetime.now(UTC)
    idle, active = (new_client(now, idle=timedelta(minutes=minutes)) for minutes in (40, 10))
    with SseServer() as sse:
        sse.connect(idle, active)
        env = {**env, "SSE_GRPC_ADDR": sse.address}
        assert why(env, "sse", "client-cleanup", idle.id)["due"]
        shown = text(env, "sse", "client-cleanup", active.id)
        absent = toast("why", "sse", "client-cleanup", "nobody", env=env)
    line = line_of(shown, "without an event for too long")
    assert line.startswith("not yet connected_at ")
    assert "; SSE_CLIENT_CLEANUP_INACTIVE_TIMEOUT=30m; from " in line
    assert absent.code == 1
    assert "no client nobody is connected to the SSE service at 127.0.0.1:" in absent.err


@pytest.mark.parametrize(
    ("arguments", "code", "reason"),
    [
        (
            f"link link-expiration {UUID(int=7)}",
            1,
            f"toast: link_links has no row with the id {UUID(int=7)}",
        ),
        (
            "link link-expiration 7",
            2,
            "toast: ID '7'; expected the UUID of a row of link-expiration, such as "
            "6f1c2a34-0b5d-4e6f-8a90-123456789abc",
        ),
        ("link expiration 7", 2, "toast: unknown scheduler of link 'expiration'. "),
        ("lnk link-expiration 7", 2, "toast: unknown service 'lnk'. Did you mean link? "),
    ],
)
def test_a_row_that_does_not_exist_is_said(
    arguments: str, code: int, reason: str, env: dict[str, str]
) -> None:
    answer: Finished = toast("why", *arguments.split(), "--json", env=env)
    assert answer.code == code
    assert reason in answer.err
    assert json.loads(answer.out)["error"].startswith(reason.removeprefix("toast: "))
