"""notification-retry against a stand-in for Discord: its requests, and the rows afterwards."""

from __future__ import annotations

import json
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from common.scheduling.scheduler import PassResult
from devservers.standins.discord import DiscordServer
from devservers.standins.discord_answers import (
    BAD_GATEWAY,
    EDGE_BLOCK,
    INVALID_TOKEN,
    UNKNOWN_WEBHOOK,
    Reply,
    Stall,
    rate_limited,
)
from testing.database import TestDatabase
from testing.passes import NOW, failed_rows, open_pass, preview
from testing.processes import Process, environment, toast
from tests.support.row_faults import refusal
from tests.workers.notification.notifications import (
    AGO,
    INTERVAL,
    LOOPBACK,
    TOKEN,
    add,
    add_channel,
    attempts,
    channel_row,
    details,
    quicker,
    row,
    run,
    until,
)
from workers.notification import discord, due_notifications, rate_limits, retry_pass
from workers.notification.notification_retry import SCHEDULER


def add_many(database: TestDatabase, channels: int, each: int, server: DiscordServer) -> None:
    """Channels c1, c2, ... with so many failed notifications each, events c1-1, c1-2, ..."""
    database.query(
        """
        INSERT INTO notification_channels (name, webhook_url, event_types, description,
                                           created_at, updated_at)
        SELECT 'c' || c, %s || 'c' || c || '/' || %s, '', '', now(), now()
        FROM generate_series(1, %s::int) AS c""",
        server.webhook_url("", "").rstrip("/") + "/",
        TOKEN,
        channels,
    )
    database.query(
        """
        INSERT INTO notification_notifications (channel_id, event_id, event_type, event_payload,
            discord_message_id, status, attempt_count, last_error, created_at, updated_at)
        SELECT id, name || '-' || n, 'link.expired',
               json_build_object('id', name || '-' || n, 'data', json_build_object('n', n))::text,
               '', 'failed', 1, '', now() + n * interval '1 s', now()
        FROM notification_channels, generate_series(1, %s::int) AS n""",
        each,
    )


def latest(database: TestDatabase) -> datetime:
    """When the latest attempt was made, by the clock of its pass."""
    [found] = database.query("SELECT max(created_at) AS at FROM notification_attempts")
    at: datetime = found["at"]
    return at


def test_a_notification_is_delivered_and_recorded(
    database: TestDatabase, server: DiscordServer
) -> None:
    channel = add_channel(
        database,
        server,
        "news",
        total_notifications=10,
        success_notifications=7,
        failed_notifications=3,
        last_failure_at=AGO,
    )
    other = add_channel(database, server, "other")
    notification = add(database, channel, "e1", attempt_count=2)
    untouched = channel_row(database, other)

    result = run(database)

    assert result == PassResult(1, details=details(delivered=1))
    assert server.delivered() == ["e1"]
    after = row(database, notification)
    assert (after["status"], after["attempt_count"], after["last_error"]) == ("success", 3, "")
    assert after["discord_message_id"].isdigit()
    [attempt] = attempts(database)
    assert attempt["notification_id"] == notification
    assert attempt["attempt_number"] == 3
    assert (attempt["response_status"], attempt["success"], attempt["error"]) == (200, True, "")
    assert attempt["discord_message_id"] == after["discord_message_id"]
    assert json.loads(attempt["response_body"])["id"] == after["discord_message_id"]
    assert 0 <= attempt["duration_ms"] < 10_000
    sent_at = after["sent_at"]
    assert NOW <= sent_at < NOW + timedelta(minutes=1)
    assert attempt["created_at"] == after["updated_at"] == sent_at
    found = channel_row(database, channel)
    assert (
        found["total_notifications"],
        found["success_notifications"],
        found["failed_notifications"],
    ) == (11, 8, 3)
    assert found["last_notification_at"] == found["last_success_at"] == sent_at
    assert found["last_failure_at"] == AGO
    assert channel_row(database, other) == untouched
    assert database.query("SELECT * FROM toast_outbox") == []


def test_a_failure_counts_as_one_attempt(database: TestDatabase, server: DiscordServer) -> None:
    channel = add_channel(database, server, "news", last_success_at=AGO)
    answers: dict[str, tuple[Reply | Stall, int, str]] = {
        "e1": (BAD_GATEWAY, 502, "HTTP 502"),
        "e2": (EDGE_BLOCK, 403, "HTTP 403"),
        "e3": (
            Reply(403, {"message": "internal network error", "code": 40333}),
            403,
            "HTTP 403: internal network error (code 40333)",
        ),
        "e4": (Reply(400, {"message": "Invalid Form Body"}), 400, "HTTP 400: Invalid Form Body"),
        "e5": (Stall(0), 0, "RemoteDisconnected"),
    }
    server.order("news", *(answer for answer, _, _ in answers.values()))
    notifications = {
        event: add(database, channel, event, created_at=AGO + timedelta(seconds=number))
        for number, event in enumerate(answers)
    }

    result = run(database)

    assert (result.processed, result.failed) == (5, 5)
    assert result.note == f"notification {notifications['e1']}: HTTP 502"
    for event, (_, status, error) in answers.items():
        after = row(database, notifications[event])
        assert (after["status"], after["attempt_count"]) == ("failed", 2)
        assert after["last_error"].startswith(error)
        assert (after["sent_at"], after["discord_message_id"]) == (None, "")
        [attempt] = [a for a in attempts(database) if a["notification_id"] == after["id"]]
        assert (attempt["response_status"], attempt["success"]) == (status, False)
        assert attempt["error"] == after["last_error"]
    found = channel_row(database, channel)
    assert (found["total_notifications"], found["failed_notifications"]) == (5, 5)
    assert found["last_failure_at"] == found["last_notification_at"] > NOW
    assert found["last_success_at"] == AGO


def test_a_stalled_webhook_costs_its_attempt_and_delays_no_other(
    database: TestDatabase, server: DiscordServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(discord, "TIMEOUT_SECONDS", 2.0)
    stalled = add_channel(database, server, "stalled")
    server.order("stalled", Stall())
    notification = add(database, stalled, "late")
    other = add_channel(database, server, "other")
    for number in range(4):
        add(database, other, f"e{number}", created_at=NOW)

    result = run(database)

    assert result.details["delivered"] == 4
    assert row(database, notification)["last_error"] == "no answer within 2 s"
    assert [a["success"] for a in attempts(database)] == [True] * 4 + [False]


def test_what_is_not_due_is_left_alone(database: TestDatabase, server: DiscordServer) -> None:
    channel = add_channel(database, server, "news")
    for status in ("pending", "success"):
        add(database, channel, status, status=status)
    add(database, channel, "deleted", deleted_at=AGO)
    for count in (3, 4):
        add(database, channel, f"used up {count}", attempt_count=count)
    before = database.query("SELECT * FROM notification_notifications ORDER BY id")

    assert run(database) == PassResult()

    assert server.requests == []
    assert database.query("SELECT * FROM notification_notifications ORDER BY id") == before


def test_the_number_of_attempts_is_a_setting(database: TestDatabase, server: DiscordServer) -> None:
    channel = add_channel(database, server, "news")
    add(database, channel, "fourth", attempt_count=3)
    assert run(database, NOTIFICATION_RETRY_MAX_RETRIES="4").processed == 1
    assert server.delivered() == ["fourth"]


def test_all_are_sent_oldest_first(
    database: TestDatabase, server: DiscordServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rate_limits, "CHANNEL_REQUESTS", 1000)
    with DiscordServer(scale=0.01) as quick:
        channel = add_channel(database, quick, "news")
        order = [7, 2, 9, 0, 5, 1, 8, 3, 6, 4, 11, 10]
        for number in order:
            add(database, channel, f"e{number}", created_at=AGO + timedelta(hours=number))
        assert run(database).details["delivered"] == 12
        assert quick.delivered() == [f"e{number}" for number in range(12)]


def test_notifications_of_the_same_moment_are_all_sent(
    database: TestDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    with DiscordServer(scale=0.01) as quick:
        channel = add_channel(database, quick, "news")
        for number in range(due_notifications.PAGE_ROWS + 2):
            add(database, channel, f"e{number}")
        quicker(monkeypatch, 0.01)
        assert run(database).details["delivered"] == due_notifications.PAGE_ROWS + 2
        assert len(set(quick.delivered())) == due_notifications.PAGE_ROWS + 2


def test_one_that_fails_again_is_tried_once_in_a_pass(
    database: TestDatabase, server: DiscordServer
) -> None:
    channel = add_channel(database, server, "news")
    notification = add(database, channel, "e1")
    server.order_always("news", BAD_GATEWAY)
    run(database)
    assert row(database, notification)["attempt_count"] == 2
    assert run(database, at=NOW + INTERVAL).processed == 1
    assert run(database, at=NOW + 2 * INTERVAL).processed == 0
    assert row(database, notification)["attempt_count"] == 3
    assert [attempt["attempt_number"] for attempt in attempts(database)] == [2, 3]


def test_a_channel_that_is_off_is_skipped_and_counted(
    database: TestDatabase, server: DiscordServer
) -> None:
    states: list[dict[str, Any]] = [{"active": False}, {"deleted_at": AGO}]
    for number, state in enumerate(states):
        off = add_channel(database, server, f"off{number}", **state)
        add(database, off, f"silent{number}")
    before = database.query("SELECT * FROM notification_notifications ORDER BY id")
    add(database, add_channel(database, server, "on"), "e1")

    assert run(database) == PassResult(1, details=details(delivered=1, skipped=2))

    assert server.delivered() == ["e1"]
    silent = "SELECT * FROM notification_notifications WHERE event_id <> 'e1' ORDER BY id"
    assert database.query(silent) == before


def test_a_payload_that_cannot_be_read_uses_up_its_attempts_without_a_call(
    database: TestDatabase, server: DiscordServer
) -> None:
    channel = add_channel(database, server, "news")
    reasons = {"{": "is not JSON", "[1]": "not an object", "[" * 99_999: "too deeply"}
    bad = {
        add(database, channel, "bad", event_payload=payload): reason
        for payload, reason in reasons.items()
    }
    add(database, channel, "good", created_at=NOW)

    result = run(database)

    assert (result.processed, result.failed, result.details["delivered"]) == (4, 3, 1)
    assert server.delivered() == ["good"]
    failed = [attempt for attempt in attempts(database) if not attempt["success"]]
    assert {attempt["notification_id"] for attempt in failed} == set(bad)
    for attempt in failed:
        after = row(database, attempt["notification_id"])
        assert (after["status"], after["attempt_count"]) == ("failed", 2)
        assert bad[after["id"]] in after["last_error"] == attempt["error"]
        assert (attempt["response_status"], attempt["duration_ms"]) == (0, 0)
    assert run(database, at=NOW + INTERVAL).processed == 3
    assert run(database, at=NOW + 2 * INTERVAL).processed == 0
    assert len(server.requests) == 1


@pytest.mark.parametrize("answer", [UNKNOWN_WEBHOOK, INVALID_TOKEN])
def test_a_webhook_that_is_gone_is_not_called_again_until_its_row_changes(
    database: TestDatabase, server: DiscordServer, answer: Reply
) -> None:
    gone = add_channel(database, server, "gone")
    first = add(database, gone, "first")
    waiting = add(database, gone, "second", created_at=NOW)
    used_up = add(database, gone, "used up", attempt_count=3)
    bystander = row(database, used_up)
    server.order("gone", answer)

    result = run(database)

    error = f"HTTP {answer.status}: {answer.body['message']} (code {answer.body['code']})"  # type: ignore[index]
    assert (result.processed, result.failed, result.details) == (1, 1, details(unreachable=1))
    after = row(database, first)
    assert (after["status"], after["attempt_count"], after["last_error"]) == ("failed", 3, error)
    assert [attempt["attempt_number"] for attempt in attempts(database)] == [2]
    unsent = row(database, waiting)
    assert unsent["attempt_count"] == 1
    assert unsent["last_error"] == f"not sent: this channel's webhook answered {error}"
    assert row(database, used_up) == bystander

    # Deliveries of the live service change counters and times: that repairs nothing.
    database.query(
        "UPDATE notification_channels SET updated_at = now(), total_notifications = 99, "
        "failed_notifications = 99, last_failure_at = now()"
    )
    later = add(database, gone, "third")
    assert run(database, at=NOW + INTERVAL) == PassResult(details=details(unreachable=2))
    assert len(server.requests) == 1
    assert row(database, later)["last_error"] == unsent["last_error"]

    database.query(
        "UPDATE notification_channels SET webhook_url = %s", server.webhook_url("new", TOKEN)
    )
    assert run(database, at=NOW + 2 * INTERVAL) == PassResult(2, details=details(delivered=2))
    assert server.delivered() == ["third", "second"]
    assert row(database, first)["attempt_count"] == 3


def test_a_gone_channel_that_was_switched_off_and_on_is_called_again(
    database: TestDatabase, server: DiscordServer
) -> None:
    gone = add_channel(database, server, "gone")
    add(database, gone, "first")
    add(database, gone, "second", created_at=NOW)
    server.order("gone", UNKNOWN_WEBHOOK)
    run(database)
    database.query("UPDATE notification_channels SET active = false")
    assert run(database, at=NOW + INTERVAL).details == details(skipped=1)
    database.query("UPDATE notification_channels SET active = true")
    assert run(database, at=NOW + 2 * INTERVAL).details == details(delivered=1)


def test_a_refused_url_does_not_count_as_an_attempt(
    database: TestDatabase, server: DiscordServer
) -> None:
    urls = {
        f"http://discord.com/api/webhooks/1/{TOKEN}": "not https",
        f"https://discord.com/{TOKEN}": "not that of a Discord webhook",
    }
    for url, event in urls.items():
        add(database, add_channel(database, server, event, webhook_url=url), event)

    assert run(database) == PassResult(details=details(unreachable=2))

    for after in database.query("SELECT * FROM notification_notifications"):
        assert after["attempt_count"] == 1
        assert after["last_error"] == f"not sent: the webhook URL is {after['event_id']}"
    assert attempts(database) == []


def test_without_the_setting_loopback_is_refused_too(
    database: TestDatabase, server: DiscordServer
) -> None:
    add(database, add_channel(database, server, "news"), "e1")
    result = run(database, NOTIFICATION_ALLOW_LOOPBACK_HTTP="false")
    assert result == PassResult(details=details(unreachable=1))
    assert server.requests == []


def test_a_429_is_obeyed_and_does_not_count_as_an_attempt(
    database: TestDatabase, server: DiscordServer
) -> None:
    slow, quick = add_channel(database, server, "slow"), add_channel(database, server, "quick")
    notification = add(database, slow, "held-up")
    server.order("slow", rate_limited(0.7), Reply(429, "", {"Retry-After": "1"}, retry_after=1.0))
    for number in range(4):
        add(database, quick, f"e{number}", created_at=NOW)

    result = run(database)

    assert result == PassResult(5, details=details(delivered=5, rate_limited=2))
    assert server.too_early() == []
    held_up = [request for request in server.requests if request.webhook == "slow"]
    assert [request.status for request in held_up] == [429, 429, 200]
    assert held_up[1].at - held_up[0].at >= 0.7
    assert held_up[2].at - held_up[1].at >= 1.0
    # The other channel did not wait with it.
    assert server.delivered()[-1] == "held-up"
    assert row(database, notification)["attempt_count"] == 2
    assert len(attempts(database)) == 5


def test_a_global_429_stops_all_senders(database: TestDatabase, server: DiscordServer) -> None:
    add_many(database, channels=6, each=3, server=server)
    for name in ("c1", "c2", "c4", "c5", "c6"):  # under way when it comes, done before it ends
        server.order(name, Reply(200, delay=1.1))
    server.order("c3", Reply(200, delay=0.4), rate_limited(1.4, everywhere=True))

    assert run(database).details == details(delivered=18, rate_limited=1)

    assert server.too_early() == []
    found = next(request.at for request in server.requests if request.status == 429)
    assert min(request.at for request in server.requests[7:]) >= found + 1.4


def test_a_wait_longer_than_the_pass_leaves_the_rest_to_later_ones(
    database: TestDatabase, server: DiscordServer
) -> None:
    slow, quick = add_channel(database, server, "slow"), add_channel(database, server, "quick")
    for event in ("first", "second"):
        add(database, slow, event)
    add(database, quick, "e1")
    body = {"message": "You are being rate limited.", "retry_after": 3600.0, "global": False}
    server.order("slow", Reply(429, body))

    assert run(database) == PassResult(1, details=details(delivered=1, rate_limited=1, left=2))
    # A later pass knows it too, whichever process runs it.
    assert run(database, at=NOW + INTERVAL) == PassResult(details=details(left=2))
    assert [request.webhook for request in server.requests].count("slow") == 1
    assert [attempt["attempt_number"] for attempt in attempts(database)] == [2]

    # An hour after that answer, which took some time itself.
    over = run(database, at=NOW + timedelta(hours=1, minutes=5))
    assert over == PassResult(2, details=details(delivered=2))


def test_a_global_429_is_remembered_by_later_passes(
    database: TestDatabase, server: DiscordServer
) -> None:
    for name in ("one", "two"):
        add(database, add_channel(database, server, name), name)
    server.order_always("one", rate_limited(900.0, everywhere=True))
    server.order_always("two", rate_limited(900.0, everywhere=True))
    assert run(database).details["left"] == 2
    asked = len(server.requests)
    assert run(database, at=NOW + INTERVAL) == PassResult(details=details(left=2))
    assert len(server.requests) == asked


def test_the_limits_of_a_minute_hold_from_pass_to_pass(
    database: TestDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    quicker(monkeypatch, 0.1)
    with DiscordServer(scale=0.1) as server:
        add_many(database, channels=1, each=20, server=server)
        assert run(database).details["delivered"] == 20
        database.query("UPDATE notification_notifications SET status = 'failed', attempt_count = 1")
        # Less than a minute of theirs later: ten more are allowed in it.
        later = run(database, at=latest(database), NOTIFICATION_RETRY_INTERVAL="2s")
        assert later.details == details(delivered=10, left=10)
        assert server.too_early() == []
        assert {request.status for request in server.requests} == {200}


def test_a_stop_records_what_is_under_way_and_begins_nothing(
    database: TestDatabase, server: DiscordServer
) -> None:
    add_many(database, channels=3, each=5, server=server)
    stop = threading.Event()
    for name in ("c1", "c2", "c3"):
        server.order_always(name, Reply(200, delay=0.5))
    with ThreadPoolExecutor() as pool:
        passing = pool.submit(run, database, stop=stop)
        until(lambda: len(server.requests) == 3)
        stop.set()
        result = passing.result(10)

    assert result == PassResult(3, details=details(delivered=3, left=12), complete=False)
    assert len(server.requests) == len(attempts(database)) == 3


def test_a_stop_does_not_wait_for_a_stalled_webhook(
    database: TestDatabase, server: DiscordServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retry_pass, "STOP_SECONDS", 0.2)
    notification = add(database, add_channel(database, server, "stalled"), "e1")
    server.order("stalled", Stall())
    stop = threading.Event()
    with ThreadPoolExecutor() as pool:
        passing = pool.submit(run, database, stop=stop)
        until(lambda: bool(server.requests))
        stop.set()
        result = passing.result(8)  # the request itself would take 10 s

    assert result == PassResult(details=details(left=1), complete=False)
    assert row(database, notification)["attempt_count"] == 1
    assert attempts(database) == []


def test_one_sender_per_channel_and_not_too_many_in_all(
    database: TestDatabase, server: DiscordServer
) -> None:
    add_many(database, channels=20, each=2, server=server)
    for number in range(1, 21):
        server.order_always(f"c{number}", Reply(200, delay=0.5))
    assert run(database).details["delivered"] == 40
    times: dict[str, list[float]] = {}
    for request in server.requests:
        times.setdefault(request.webhook, []).append(request.at)
    assert all(second - first >= 0.5 for first, second in times.values())
    starts = sorted(request.at for request in server.requests)
    most = max(sum(start <= at < start + 0.5 for at in starts) for start in starts)
    assert 4 <= most <= retry_pass.SENDERS


def test_an_attempt_that_another_process_made_meanwhile_is_not_counted_twice(
    database: TestDatabase, server: DiscordServer
) -> None:
    channel = add_channel(database, server, "news")
    notification = add(database, channel, "e1")
    server.order("news", Reply(200, delay=1.0))
    theirs = "UPDATE notification_notifications SET attempt_count = 2, last_error = 'theirs'"
    with ThreadPoolExecutor() as pool:
        passing = pool.submit(run, database)
        until(lambda: bool(server.requests))
        database.query(theirs)

    assert passing.result() == PassResult(details=details(superseded=1))
    after = row(database, notification)
    assert (after["status"], after["attempt_count"]) == ("failed", 2)
    assert after["last_error"] == "theirs"
    assert attempts(database) == []
    assert channel_row(database, channel)["total_notifications"] == 0


def test_what_is_no_longer_due_when_its_turn_comes_is_not_sent(
    database: TestDatabase, server: DiscordServer
) -> None:
    news, other = add_channel(database, server, "news"), add_channel(database, server, "other")
    for channel in (news, other):
        for number in range(3):
            add(database, channel, f"e{number}", created_at=AGO + timedelta(seconds=number))
        server.order("news" if channel == news else "other", Reply(200, delay=1.0))
    deletion = "UPDATE notification_notifications SET deleted_at = now() WHERE event_id = 'e1'"
    with ThreadPoolExecutor() as pool:
        pool.submit(run, database)
        until(lambda: len(server.requests) == 2)
        database.query(deletion)
        database.query("UPDATE notification_channels SET active = false WHERE name = 'other'")
    sent = [(request.webhook, request.event_id) for request in server.requests]
    assert sorted(sent) == [("news", "e0"), ("news", "e2"), ("other", "e0")]


def test_a_row_that_cannot_be_written_is_set_aside_and_not_sent_again(
    database: TestDatabase, server: DiscordServer
) -> None:
    channel = add_channel(database, server, "news")
    bad = add(database, channel, "bad")
    add(database, channel, "good", created_at=NOW)
    database.query(refusal("UPDATE ON notification_notifications", f"new.id = '{bad}'"))

    result = run(database)

    assert (result.processed, result.failed, result.details["delivered"]) == (1, 1, 1)
    [aside] = failed_rows(database)
    assert aside["row_id"] == bad
    assert aside["reason"] == "delivered, but not recorded: RaiseException: refused"
    assert run(database, at=NOW + timedelta(days=300)) == PassResult()
    assert server.delivered() == ["bad", "good"]


@pytest.mark.parametrize("held_seconds", [0.5, 60.0])
def test_a_locked_row_is_waited_for_but_not_for_ever(
    database: TestDatabase, server: DiscordServer, held_seconds: float
) -> None:
    held = add(database, add_channel(database, server, "news"), "held")
    other = add(database, add_channel(database, server, "other"), "e1")
    with database.connect() as editor, open_pass(database, SCHEDULER, **LOOPBACK) as current:
        current.connection.execute("SET lock_timeout = '400ms'")
        editor.execute("BEGIN")
        editor.execute("SELECT FROM notification_notifications WHERE id = %s FOR UPDATE", (held,))
        timer = threading.Timer(held_seconds, editor.execute, ("COMMIT",))
        timer.start()
        result = SCHEDULER.run(replace(current, wait=threading.Event().wait))
        timer.cancel()
        timer.join()

    patient = held_seconds < 1
    assert result.details["delivered"] == (2 if patient else 1)
    assert row(database, held)["status"] == ("success" if patient else "failed")
    assert row(database, other)["status"] == "success"
    # It was sent: what cannot be recorded is not sent over and over.
    assert [aside["row_id"] for aside in failed_rows(database)] == ([] if patient else [held])


def test_no_limit_is_waited_for_when_nothing_is_left(
    database: TestDatabase, server: DiscordServer
) -> None:
    add(database, add_channel(database, server, "news"), "e1")
    # To wait for this would take longer than a test may.
    used_up = {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset-After": "300.0"}
    server.order("news", Reply(200, headers=used_up))
    assert run(database) == PassResult(1, details=details(delivered=1))


def test_a_long_wait_reports_progress(
    database: TestDatabase, server: DiscordServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retry_pass, "_PROGRESS_SECONDS", 0.1)
    add(database, add_channel(database, server, "news"), "e1")
    server.order("news", rate_limited(0.8))
    signs: list[PassResult] = []
    with open_pass(database, SCHEDULER, report_progress=signs.append, **LOOPBACK) as current:
        SCHEDULER.run(replace(current, wait=threading.Event().wait))
    assert len(signs) >= 5


def test_a_dry_run_shows_what_would_be_sent_and_sends_nothing(
    database: TestDatabase, server: DiscordServer
) -> None:
    channel = add_channel(database, server, "news")
    second = add(database, channel, "e2", attempt_count=2)
    first = add(database, channel, "e1", created_at=AGO - timedelta(hours=1))
    add(database, channel, "used up", attempt_count=3)
    add(database, add_channel(database, server, "off", active=False), "e3")

    shown = preview(database, SCHEDULER, **LOOPBACK)

    assert shown.count == 2
    assert [dict(found) for found in shown.rows] == [
        {
            "id": first,
            "channel": "news",
            "event_type": "link.expired",
            "attempt_count": 1,
            "created_at": AGO - timedelta(hours=1),
        },
        {
            "id": second,
            "channel": "news",
            "event_type": "link.expired",
            "attempt_count": 2,
            "created_at": AGO,
        },
    ]
    assert server.requests == []


@pytest.mark.parametrize("limit_headers", [True, False])
def test_the_limits_are_kept_before_they_are_met(
    database: TestDatabase, monkeypatch: pytest.MonkeyPatch, limit_headers: bool
) -> None:
    quicker(monkeypatch, 0.02)
    with DiscordServer(scale=0.02, limit_headers=limit_headers) as server:
        add_many(database, channels=2, each=32, server=server)
        assert run(database).details == details(delivered=64)
        assert Counter(request.status for request in server.requests) == {200: 64}


def test_2000_notifications_over_40_channels_meet_no_limit(
    database: TestDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    quicker(monkeypatch, 0.05)
    with DiscordServer(scale=0.05) as server:
        add_many(database, channels=40, each=50, server=server)
        server.order("c7", rate_limited(0.8))
        server.order("c9", Reply(200), rate_limited(1.0, everywhere=True))

        result = run(database)

        assert (result.processed, result.details["delivered"]) == (2000, 2000)
        assert server.too_early() == []
        statuses = Counter(request.status for request in server.requests)
        assert statuses[200] == 2000
        # The two ordered, and what had been sent before the global one was read: what was under
        # way, and once more for each whose good answer was read before it.
        assert 2 <= statuses[429] <= 1 + 2 * retry_pass.SENDERS
        assert statuses[429] == result.details["rate_limited"]
        delivered = [event.split("-") for event in server.delivered()]
        for channel in (f"c{number}" for number in range(1, 41)):
            assert [n for name, n in delivered if name == channel] == [str(n) for n in range(1, 51)]
    assert counts(database) == {("success", 2): 2000}
    assert len(attempts(database)) == 2000


def test_a_worker_killed_in_mid_pass_loses_nothing_and_repeats_only_what_was_under_way(
    database: TestDatabase, server: DiscordServer
) -> None:
    add_many(database, channels=12, each=8, server=server)
    env = environment(database, **LOOPBACK)
    with Process("workers.notification", env=env) as worker:
        until(lambda: len(server.delivered()) >= 30)
        worker.kill()
    database.wait_until_left()
    assert 0 < len(attempts(database)) < 96
    with Process("workers.notification", env=env) as worker:
        worker.wait_for("pass_finished", scheduler="notification-retry", result="ok")
        assert worker.stop() == 0

    delivered = Counter(server.delivered())
    assert len(delivered) == 96
    assert sum(delivered.values()) <= 96 + retry_pass.SENDERS
    assert server.too_early() == []
    assert counts(database) == {("success", 2): 96}
    assert len(attempts(database)) == 96


def test_two_workers_at_once_send_each_notification_once(
    database: TestDatabase, server: DiscordServer
) -> None:
    add_many(database, channels=4, each=3, server=server)
    for number in range(1, 5):  # time for the second to come across what the first has under way
        server.order(f"c{number}", Reply(200, delay=3.0))
    env = environment(database, **LOOPBACK)
    with (
        Process("workers.notification", env=env) as one,
        Process("workers.notification", env=env) as other,
    ):
        for worker in (one, other):
            worker.wait_for("pass_finished", scheduler="notification-retry")
        assert (one.stop(), other.stop()) == (0, 0)
    assert sorted(Counter(server.delivered()).values()) == [1] * 12
    assert server.too_early() == []
    assert counts(database) == {("success", 2): 12}
    assert len(attempts(database)) == 12


def test_a_worker_stops_at_once_while_it_waits_for_a_limit(
    database: TestDatabase, server: DiscordServer
) -> None:
    add(database, add_channel(database, server, "news"), "e1")
    server.order("news", rate_limited(120.0))
    with Process("workers.notification", env=environment(database, **LOOPBACK)) as worker:
        worker.wait_for("rate_limited", channel="news", seconds=120.0, everywhere=False)
        assert worker.stop() == 0
        worker.wait_for("pass_finished", result="stopped")


def test_no_secret_gets_out(database: TestDatabase, server: DiscordServer) -> None:
    names = ("fine", "echo", "gone", "refused", "away", "slow", "cut-off")
    for number, name in enumerate(names):
        add(database, add_channel(database, server, name), name)
        add(database, add_channel(database, server, f"{name}-2", active=number != 1), f"{name}-2")
    echo = f"<a href='{server.webhook_url('echo', TOKEN)}'>{TOKEN}</a>"
    server.order("echo", Reply(500, echo))
    server.order("gone", Reply(404, {"message": f"Unknown Webhook {TOKEN}", "code": 10015}))
    server.order("slow", Reply(429, f"{TOKEN}", {"Retry-After": "900"}))
    server.order("cut-off", Stall(0))
    set_url = "UPDATE notification_channels SET webhook_url = %s WHERE name = %s"
    database.query(set_url, f"http://discord.com/api/webhooks/1/{TOKEN}", "refused")
    database.query(set_url, f"http://127.0.0.1:1/api/webhooks/1/{TOKEN}", "away")
    env = environment(database, LOG_LEVEL="debug", LOG_FORMAT="text", **LOOPBACK)

    texts = []
    for arguments in (["--dry-run"], ["--json"], []):
        answer = toast("once", "notification", "notification-retry", *arguments, env=env)
        assert answer.code == 0
        texts += [answer.out, answer.err]

    assert counts(database)[("success", 2)] == 7
    tables = database.query(
        "SELECT relname AS name FROM pg_class WHERE relkind = 'r' AND relnamespace = "
        "'public'::regnamespace AND relname <> 'notification_channels'"
    )
    for table in tables:
        texts += [str(found) for found in database.query(f"SELECT * FROM {table['name']}")]
    assert "webhook answered HTTP 404" in "".join(texts)
    assert not [text for text in texts if TOKEN in text or TOKEN[:12] in text]


def counts(database: TestDatabase) -> dict[tuple[str, int], int]:
    """How many notifications there are by status and attempts."""
    rows = database.query("SELECT status, attempt_count FROM notification_notifications")
    return Counter((found["status"], found["attempt_count"]) for found in rows)
