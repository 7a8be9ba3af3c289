"""notification-retry against a stand-in for Discord: its requests, and the rows afterwards."""

from __future__ import annotations

import json
import ssl
import threading
from collections import Counter
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import trustme

from common.scheduling.scheduler import PassResult
from devservers.network.forward_proxy import ForwardProxy
from devservers.network.scripted_server import Script, ScriptedServer
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
from testing.passes import NOW, open_pass
from testing.processes import Process, environment, toast
from tests.workers.notification.notifications import (
    AGO,
    CHANNELS,
    INTERVAL,
    LOOPBACK,
    NOTIFICATIONS,
    TOKEN,
    Retry,
    details,
    quick_server,
    until,
)
from workers.notification import due_notifications, retry_pass
from workers.notification.discord import client
from workers.notification.notification_retry import SCHEDULER


def test_a_notification_is_delivered_and_recorded(retry: Retry) -> None:
    counters = {"total_notifications": 10, "success_notifications": 7, "failed_notifications": 3}
    retry.channel("news", last_failure_at=AGO, **counters)
    retry.channel("other")
    notification = retry.add("news", "e1", attempt_count=2)
    untouched = retry.channel_row("other")

    assert retry.run() == PassResult(1, details=details(delivered=1))

    assert retry.delivered() == ["e1"]
    after = retry.row(notification)
    assert (after["status"], after["attempt_count"], after["last_error"]) == ("success", 3, "")
    assert after["discord_message_id"].isdigit()
    [attempt] = retry.attempts()
    assert (attempt["notification_id"], attempt["attempt_number"]) == (notification, 3)
    assert (attempt["response_status"], attempt["success"], attempt["error"]) == (200, True, "")
    assert attempt["discord_message_id"] == after["discord_message_id"]
    assert json.loads(attempt["response_body"])["id"] == after["discord_message_id"]
    assert 0 <= attempt["duration_ms"] < 10_000
    sent_at = after["sent_at"]
    assert NOW <= sent_at < NOW + timedelta(minutes=1)
    assert attempt["created_at"] == after["updated_at"] == sent_at
    found = retry.channel_row("news")
    assert [found[counter] for counter in counters] == [11, 8, 3]
    assert found["last_notification_at"] == found["last_success_at"] == sent_at
    assert found["last_failure_at"] == AGO
    assert retry.channel_row("other") == untouched
    assert retry.database.query("SELECT * FROM toast_outbox") == []


def test_a_failure_counts_as_one_attempt(retry: Retry) -> None:
    edge = {"message": "internal network error", "code": 40333}
    answers: dict[str, tuple[Reply | Stall, int, str]] = {
        "e1": (Reply(400, {"message": "Invalid Form Body"}), 400, "HTTP 400: Invalid Form Body"),
        "e2": (BAD_GATEWAY, 502, "HTTP 502"),
        "e3": (EDGE_BLOCK, 403, "HTTP 403: error code: 1010"),
        "e4": (Reply(403, edge), 403, "HTTP 403: internal network error (code 40333)"),
        "e5": (Stall(0), 0, "the connection failed: RemoteDisconnected"),
    }
    retry.channel("news", last_success_at=AGO)
    retry.order("news", *(answer for answer, _, _ in answers.values()))
    notifications = {
        event: retry.add("news", event, created_at=AGO + timedelta(seconds=number))
        for number, event in enumerate(answers)
    }

    result = retry.run()

    assert (result.processed, result.failed) == (5, 5)
    assert result.note.startswith(f"notification {notifications['e1']}: HTTP 400")
    for event, (_, status, error) in answers.items():
        after = retry.row(notifications[event])
        assert (after["status"], after["attempt_count"]) == ("failed", 2)
        assert after["last_error"].startswith(error)
        assert (after["sent_at"], after["discord_message_id"]) == (None, "")
        [attempt] = [a for a in retry.attempts() if a["notification_id"] == after["id"]]
        assert (attempt["response_status"], attempt["success"]) == (status, False)
        assert attempt["error"] == after["last_error"]
    found = retry.channel_row("news")
    assert (found["total_notifications"], found["failed_notifications"]) == (5, 5)
    assert found["last_failure_at"] == found["last_notification_at"] > NOW
    assert found["last_success_at"] == AGO


def test_a_stalled_webhook_costs_its_attempt_and_delays_no_other(
    retry: Retry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "TIMEOUT_SECONDS", 2.0)
    retry.order("stalled", Stall())
    notification = retry.add("stalled", "late")
    for number in range(4):
        retry.add("other", f"e{number}", created_at=NOW)

    assert retry.run().details["delivered"] == 4

    assert retry.row(notification)["last_error"] == "no answer within 2 s"
    assert [a["success"] for a in retry.attempts()] == [True] * 4 + [False]


def test_what_is_not_due_is_left_alone(retry: Retry) -> None:
    for status in ("pending", "success"):
        retry.add("news", status, status=status)
    retry.add("news", "deleted", deleted_at=AGO)
    for count in (3, 4):
        retry.add("news", f"used up {count}", attempt_count=count)
    before = retry.rows()

    assert retry.run() == PassResult()

    assert retry.requests == []
    assert retry.rows() == before


def test_the_number_of_attempts_is_a_setting(retry: Retry) -> None:
    retry.add("news", "fourth", attempt_count=3)
    assert retry.run(NOTIFICATION_RETRY_MAX_RETRIES="4").processed == 1
    assert retry.delivered() == ["fourth"]


def test_one_that_fails_again_is_tried_once_in_a_pass(retry: Retry) -> None:
    notification = retry.add("news", "e1")
    retry.server.order_always("news", Reply(400, {"message": "Invalid Form Body"}))
    retry.run()
    assert retry.row(notification)["attempt_count"] == 2
    assert retry.run(at=NOW + INTERVAL).processed == 1
    assert retry.run(at=NOW + 2 * INTERVAL).processed == 0
    assert retry.row(notification)["attempt_count"] == 3
    assert [attempt["attempt_number"] for attempt in retry.attempts()] == [2, 3]


def test_a_channel_that_is_off_is_skipped_and_counted(retry: Retry) -> None:
    states: dict[str, dict[str, Any]] = {"off": {"active": False}, "gone": {"deleted_at": AGO}}
    for name, state in states.items():
        retry.channel(name, **state)
        retry.add(name, f"silent-{name}")
    before = retry.rows()
    sent = retry.add("on", "e1")

    assert retry.run() == PassResult(1, details=details(delivered=1, skipped=2))

    assert retry.delivered() == ["e1"]
    assert [found for found in retry.rows() if found["id"] != sent] == before


def test_a_payload_that_cannot_be_read_uses_up_its_attempts_without_a_call(retry: Retry) -> None:
    reasons = {"{": "is not JSON", "[1]": "not an object", "[" * 99_999: "too deeply"}
    bad = {
        retry.add("news", "bad", event_payload=payload): reason
        for payload, reason in reasons.items()
    }
    retry.add("news", "good", created_at=NOW)

    result = retry.run()

    assert (result.processed, result.failed, result.details["delivered"]) == (4, 3, 1)
    assert retry.delivered() == ["good"]
    failed = [attempt for attempt in retry.attempts() if not attempt["success"]]
    assert {attempt["notification_id"] for attempt in failed} == set(bad)
    for attempt in failed:
        after = retry.row(attempt["notification_id"])
        assert (after["status"], after["attempt_count"]) == ("failed", 2)
        assert bad[after["id"]] in after["last_error"] == attempt["error"]
        assert (attempt["response_status"], attempt["duration_ms"]) == (0, 0)
    assert retry.run(at=NOW + INTERVAL).processed == 3
    assert retry.run(at=NOW + 2 * INTERVAL).processed == 0
    assert len(retry.requests) == 1


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (UNKNOWN_WEBHOOK, "HTTP 404: Unknown Webhook (code 10015)"),
        (INVALID_TOKEN, "HTTP 401: Invalid Webhook Token (code 50027)"),
    ],
)
def test_a_webhook_that_is_gone_is_not_called_again_until_its_row_changes(
    retry: Retry, answer: Reply, error: str
) -> None:
    first = retry.add("gone", "first")
    waiting = retry.add("gone", "second", created_at=NOW)
    used_up = retry.add("gone", "used up", attempt_count=3)
    bystander = retry.row(used_up)
    retry.order("gone", answer)

    result = retry.run()

    assert (result.processed, result.failed, result.details) == (1, 1, details(unreachable=1))
    after = retry.row(first)
    assert (after["status"], after["attempt_count"], after["last_error"]) == ("failed", 3, error)
    assert [attempt["attempt_number"] for attempt in retry.attempts()] == [2]
    unsent = retry.row(waiting)
    assert unsent["attempt_count"] == 1
    assert unsent["last_error"] == f"not sent: this channel's webhook answered {error}"
    assert retry.row(used_up) == bystander

    # Deliveries of the live service change counters and times: that repairs nothing.
    retry.database.query(
        f"UPDATE {CHANNELS} SET updated_at = now(), total_notifications = 99, "
        "failed_notifications = 99, last_failure_at = now()"
    )
    later = retry.add("gone", "third")
    assert retry.run(at=NOW + INTERVAL) == PassResult(details=details(unreachable=2))
    assert len(retry.requests) == 1
    assert retry.row(later)["last_error"] == unsent["last_error"]

    url = retry.server.webhook_url("new", TOKEN)
    retry.database.query(f"UPDATE {CHANNELS} SET webhook_url = %s", url)
    assert retry.run(at=NOW + 2 * INTERVAL) == PassResult(2, details=details(delivered=2))
    assert retry.delivered() == ["third", "second"]
    assert retry.row(first)["attempt_count"] == 3


def test_a_gone_channel_that_was_switched_off_and_on_is_called_again(retry: Retry) -> None:
    retry.add("gone", "first")
    retry.add("gone", "second", created_at=NOW)
    retry.order("gone", UNKNOWN_WEBHOOK)
    retry.run()
    retry.database.query(f"UPDATE {CHANNELS} SET active = false")
    assert retry.run(at=NOW + INTERVAL).details == details(skipped=1)
    retry.database.query(f"UPDATE {CHANNELS} SET active = true")
    assert retry.run(at=NOW + 2 * INTERVAL).details == details(delivered=1)


def test_a_refused_url_does_not_count_as_an_attempt(retry: Retry) -> None:
    urls = {
        "is not https": f"http://discord.com/api/webhooks/1/{TOKEN}",
        "is not that of a Discord webhook": f"https://discord.com/{TOKEN}",
        "has a host that is none": f"https://disc ord.com/api/webhooks/1/{TOKEN}",
    }
    for event, url in urls.items():
        retry.channel(event, webhook_url=url)
        retry.add(event, event)

    assert retry.run() == PassResult(details=details(unreachable=3))

    for after in retry.rows():
        assert after["attempt_count"] == 1
        assert after["last_error"] == f"not sent: the webhook URL {after['event_id']}"
    assert retry.attempts() == []


def test_without_the_setting_loopback_is_refused_too(retry: Retry) -> None:
    retry.add("news", "e1")
    result = retry.run(NOTIFICATION_ALLOW_LOOPBACK_HTTP="false")
    assert result == PassResult(details=details(unreachable=1))
    assert retry.requests == []


def test_a_429_is_obeyed_and_does_not_count_as_an_attempt(retry: Retry) -> None:
    notification = retry.add("slow", "held-up")
    retry.order("slow", rate_limited(0.7), rate_limited(1))
    for number in range(4):
        retry.add("quick", f"e{number}", created_at=NOW)

    assert retry.run() == PassResult(5, details=details(delivered=5, rate_limited=2))

    assert retry.server.too_early() == []
    held_up = [request for request in retry.requests if request.webhook == "slow"]
    assert [request.status for request in held_up] == [429, 429, 200]
    assert held_up[1].at - held_up[0].at >= 0.7
    assert held_up[2].at - held_up[1].at >= 1.0
    # The other channel did not wait with it.
    assert retry.delivered()[-1] == "held-up"
    assert retry.row(notification)["attempt_count"] == 2
    assert len(retry.attempts()) == 5


def test_a_global_429_stops_all_senders(retry: Retry) -> None:
    retry.add_many(channels=6, each=3)
    for name in ("c1", "c2", "c4", "c5", "c6"):  # under way when it comes, done before it ends
        retry.order(name, Reply(200), Reply(200, delay=1.9))
    retry.order("c3", Reply(200), Reply(200, delay=1.2), rate_limited(2.2, everywhere=True))

    assert retry.run().details == details(delivered=18, rate_limited=1)

    assert retry.server.too_early() == []
    found = next(request.at for request in retry.requests if request.status == 429)
    assert min(request.at for request in retry.requests[13:]) >= found + 2.2


def test_a_wait_longer_than_the_pass_leaves_the_rest_to_later_ones(retry: Retry) -> None:
    for event in ("first", "second"):
        retry.add("slow", event)
    retry.add("quick", "e1")
    body = {"message": "You are being rate limited.", "retry_after": 3600.0, "global": False}
    retry.order("slow", Reply(429, body))

    assert retry.run() == PassResult(1, details=details(delivered=1, rate_limited=1, left=2))
    # A later pass knows it too, whichever process runs it.
    assert retry.run(at=NOW + INTERVAL) == PassResult(details=details(left=2))
    assert [request.webhook for request in retry.requests].count("slow") == 1
    assert [attempt["attempt_number"] for attempt in retry.attempts()] == [2]

    # An hour after that answer, which took some time itself.
    over = retry.run(at=NOW + timedelta(hours=1, minutes=5))
    assert over == PassResult(2, details=details(delivered=2))


def test_a_global_429_is_remembered_by_later_passes(retry: Retry) -> None:
    for name in ("one", "two"):
        retry.add(name, name)
        retry.server.order_always(name, rate_limited(900.0, everywhere=True))
    assert retry.run().details["left"] == 2
    asked = len(retry.requests)
    assert retry.run(at=NOW + INTERVAL) == PassResult(details=details(left=2))
    assert len(retry.requests) == asked


def test_the_limits_of_a_minute_hold_from_pass_to_pass(
    database: TestDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    with quick_server(monkeypatch, 0.1) as server:
        retry = Retry(database, server)
        retry.add_many(channels=1, each=20)
        assert retry.run().details["delivered"] == 20
        latest = max(attempt["created_at"] for attempt in retry.attempts())
        database.query(f"UPDATE {NOTIFICATIONS} SET status = 'failed', attempt_count = 1")
        # Less than a minute of theirs later: ten more are allowed in it.
        later = retry.run(at=latest, NOTIFICATION_RETRY_INTERVAL="2s")
        assert later.details == details(delivered=10, left=10)
        assert server.too_early() == []
        assert {request.status for request in server.requests} == {200}


def test_a_stop_records_what_is_under_way_and_begins_nothing(retry: Retry) -> None:
    retry.add_many(channels=3, each=5)
    stop = threading.Event()
    for name in ("c1", "c2", "c3"):
        retry.server.order_always(name, Reply(200, delay=0.5))
    with retry.running(requests=3, stop=stop) as passing:
        stop.set()
        result = passing.result(10)

    assert result == PassResult(3, details=details(delivered=3, left=12), complete=False)
    assert len(retry.requests) == len(retry.attempts()) == 3


def test_a_stop_does_not_wait_for_a_stalled_webhook(
    retry: Retry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retry_pass, "STOP_SECONDS", 0.2)
    notification = retry.add("stalled", "e1")
    retry.order("stalled", Stall())
    stop = threading.Event()
    with retry.running(requests=1, stop=stop) as passing:
        stop.set()
        result = passing.result(8)  # the request itself would take 10 s

    assert result == PassResult(details=details(left=1), complete=False)
    assert retry.row(notification)["attempt_count"] == 1
    assert retry.attempts() == []


def test_one_sender_per_channel_and_not_too_many_in_all(retry: Retry) -> None:
    retry.add_many(channels=20, each=2)
    for number in range(1, 21):
        retry.server.order_always(f"c{number}", Reply(200, delay=0.5))
    assert retry.run().details["delivered"] == 40
    times: dict[str, list[float]] = {}
    for request in retry.requests:
        times.setdefault(request.webhook, []).append(request.at)
    assert all(second - first >= 0.5 for first, second in times.values())
    starts = sorted(request.at for request in retry.requests)
    most = max(sum(start <= at < start + 0.5 for at in starts) for start in starts)
    assert 4 <= most <= retry_pass.SENDERS


def test_an_attempt_that_another_process_made_meanwhile_is_not_counted_twice(retry: Retry) -> None:
    notification = retry.add("news", "e1")
    retry.order("news", Reply(200, delay=1.0))
    with retry.running(requests=1) as passing:
        retry.database.query(f"UPDATE {NOTIFICATIONS} SET attempt_count = 2, last_error = 'theirs'")

    assert passing.result() == PassResult(details=details(superseded=1))
    after = retry.row(notification)
    assert (after["status"], after["attempt_count"]) == ("failed", 2)
    assert after["last_error"] == "theirs"
    assert retry.attempts() == []
    assert retry.channel_row("news")["total_notifications"] == 0


def test_what_is_no_longer_due_when_its_turn_comes_is_not_sent(retry: Retry) -> None:
    for channel in ("news", "other"):
        for number in range(3):
            retry.add(channel, f"e{number}", created_at=AGO + timedelta(seconds=number))
        retry.order(channel, Reply(200, delay=1.0))
    with retry.running(requests=2):
        retry.database.query(f"UPDATE {NOTIFICATIONS} SET deleted_at = now() WHERE event_id = 'e1'")
        retry.database.query(f"UPDATE {CHANNELS} SET active = false WHERE name = 'other'")
    sent = [(request.webhook, request.event_id) for request in retry.requests]
    assert sorted(sent) == [("news", "e0"), ("news", "e2"), ("other", "e0")]


@pytest.mark.parametrize("held_seconds", [0.5, 60.0])
def test_a_locked_row_is_waited_for_but_not_for_ever(retry: Retry, held_seconds: float) -> None:
    held = retry.add("news", "held")
    other = retry.add("other", "e1")
    database = retry.database
    with database.connect() as editor, open_pass(database, SCHEDULER, **LOOPBACK) as current:
        current.connection.execute("SET lock_timeout = '400ms'")
        editor.execute("BEGIN")
        editor.execute(f"SELECT FROM {NOTIFICATIONS} WHERE id = %s FOR UPDATE", (held,))
        timer = threading.Timer(held_seconds, editor.execute, ("COMMIT",))
        timer.start()
        result = SCHEDULER.work.run(replace(current, wait=threading.Event().wait))
        timer.cancel()
        timer.join()

    patient = held_seconds < 1
    assert result.details["delivered"] == (2 if patient else 1)
    assert retry.row(held)["status"] == ("success" if patient else "failed")
    assert retry.row(other)["status"] == "success"
    # It was sent: what cannot be recorded is not sent over and over.
    assert [aside["row_id"] for aside in retry.failed_rows()] == ([] if patient else [held])


def test_no_limit_is_waited_for_when_nothing_is_left(retry: Retry) -> None:
    retry.add("news", "e1")
    # To wait for this would take longer than a test may.
    used_up = {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset-After": "300.0"}
    retry.order("news", Reply(200, headers=used_up))
    assert retry.run() == PassResult(1, details=details(delivered=1))


def test_a_long_wait_reports_progress(retry: Retry, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retry_pass, "_PROGRESS_SECONDS", 0.1)
    retry.add("news", "e1")
    retry.order("news", rate_limited(0.8))
    signs: list[PassResult] = []
    retry.run(report_progress=signs.append)
    assert len(signs) >= 5


def test_a_dry_run_shows_what_would_be_sent_and_sends_nothing(retry: Retry) -> None:
    an_hour_before = AGO - timedelta(hours=1)
    second = retry.add("news", "e2", attempt_count=2)
    first = retry.add("news", "e1", created_at=an_hour_before)
    retry.add("news", "used up", attempt_count=3)
    retry.channel("off", active=False)
    retry.add("off", "e3")

    shown = retry.preview()

    names = ("id", "channel", "event_type", "attempt_count", "created_at")
    assert shown.count == 2
    assert [dict(found) for found in shown.rows] == [
        dict(zip(names, (first, "news", "link.expired", 1, an_hour_before), strict=True)),
        dict(zip(names, (second, "news", "link.expired", 2, AGO), strict=True)),
    ]
    assert retry.requests == []


@pytest.mark.parametrize("limit_headers", [True, False])
def test_the_limits_are_kept_before_they_are_met(
    database: TestDatabase, monkeypatch: pytest.MonkeyPatch, limit_headers: bool
) -> None:
    with quick_server(monkeypatch, 0.02, limit_headers=limit_headers) as server:
        retry = Retry(database, server)
        retry.add_many(channels=2, each=due_notifications.PAGE_ROWS + 2)
        database.query(f"UPDATE {NOTIFICATIONS} SET created_at = %s", AGO)  # pages end inside it
        assert retry.run().details == details(delivered=64)
        assert Counter(request.status for request in server.requests) == {200: 64}
        assert len(set(server.delivered())) == 64


def test_2000_notifications_over_40_channels_meet_no_limit(
    database: TestDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    with quick_server(monkeypatch, 0.05) as server:
        retry = Retry(database, server)
        retry.add_many(channels=40, each=50)
        retry.order("c7", rate_limited(0.8))
        retry.order("c9", Reply(200), rate_limited(1.0, everywhere=True))

        result = retry.run()

    assert (result.processed, result.details["delivered"]) == (2000, 2000)
    assert server.too_early() == []
    statuses = Counter(request.status for request in server.requests)
    assert statuses[200] == 2000
    # The two ordered, and what had been sent before the global one was read: what was under way,
    # and once more for each whose good answer was read before it.
    assert 2 <= statuses[429] <= 1 + 2 * retry_pass.SENDERS
    assert statuses[429] == result.details["rate_limited"]
    delivered = [event.split("-") for event in server.delivered()]
    for channel in (f"c{number}" for number in range(1, 41)):
        assert [n for name, n in delivered if name == channel] == [str(n) for n in range(1, 51)]
    assert retry.counts() == {("success", 2): 2000}
    assert len(retry.attempts()) == 2000


def test_a_worker_killed_in_mid_pass_loses_nothing_and_repeats_only_what_was_under_way(
    retry: Retry,
) -> None:
    retry.add_many(channels=12, each=8)
    env = environment(retry.database, **LOOPBACK)
    with Process("workers.notification", env=env) as worker:
        until(lambda: len(retry.delivered()) >= 30)
        worker.kill()
    retry.database.wait_until_left()
    assert 0 < len(retry.attempts()) < 96
    with Process("workers.notification", env=env) as worker:
        worker.wait_for("pass_finished", scheduler="notification-retry", result="ok")
        assert worker.stop() == 0

    delivered = Counter(retry.delivered())
    assert len(delivered) == 96
    assert sum(delivered.values()) <= 96 + retry_pass.SENDERS
    assert retry.server.too_early() == []
    assert retry.counts() == {("success", 2): 96}
    assert len(retry.attempts()) == 96


def test_two_workers_at_once_send_each_notification_once(retry: Retry) -> None:
    retry.add_many(channels=4, each=3)
    for number in range(1, 5):  # time for the second to come across what the first has under way
        retry.order(f"c{number}", Reply(200, delay=3.0))
    env = environment(retry.database, **LOOPBACK)
    with (
        Process("workers.notification", env=env) as one,
        Process("workers.notification", env=env) as other,
    ):
        for worker in (one, other):
            worker.wait_for("pass_finished", scheduler="notification-retry")
        assert (one.stop(), other.stop()) == (0, 0)
    assert sorted(Counter(retry.delivered()).values()) == [1] * 12
    assert retry.server.too_early() == []
    assert retry.counts() == {("success", 2): 12}
    assert len(retry.attempts()) == 12


def test_a_worker_stops_at_once_while_it_waits_for_a_limit(retry: Retry) -> None:
    retry.add("news", "e1")
    retry.order("news", rate_limited(120.0))
    with Process("workers.notification", env=environment(retry.database, **LOOPBACK)) as worker:
        worker.wait_for("rate_limited", channel="news", seconds=120.0, everywhere=False)
        assert worker.stop() == 0
        worker.wait_for("pass_finished", result="stopped")


def test_no_secret_gets_out(retry: Retry) -> None:
    database = retry.database
    for name in ("fine", "echo", "gone", "refused", "away", "slow", "cut-off"):
        retry.add(name, name)
        retry.channel(f"{name}-2", active=name != "echo")
        retry.add(f"{name}-2", f"{name}-2")
    echo = f"<a href='{retry.server.webhook_url('echo', TOKEN)}'>{TOKEN}</a>"
    retry.order("echo", Reply(500, echo))
    retry.order("gone", Reply(404, {"message": f"Unknown Webhook {TOKEN}", "code": 10015}))
    retry.order("slow", Reply(429, {"message": TOKEN, "retry_after": 900.0}))
    retry.order("cut-off", Stall(0))
    set_url = f"UPDATE {CHANNELS} SET webhook_url = %s WHERE name = %s"
    database.query(set_url, f"http://discord.com/api/webhooks/1/{TOKEN}", "refused")
    database.query(set_url, f"http://127.0.0.1:1/api/webhooks/1/{TOKEN}", "away")
    env = environment(database, LOG_LEVEL="debug", LOG_FORMAT="text", **LOOPBACK)

    texts = []
    for arguments in (["--dry-run"], ["--json"], []):
        answer = toast("once", "notification", "notification-retry", *arguments, env=env)
        assert answer.code == 0
        texts += [answer.out, answer.err]

    assert retry.counts()[("success", 2)] == 7
    tables = database.query(
        "SELECT relname AS name FROM pg_class WHERE relkind = 'r' AND relnamespace = "
        f"'public'::regnamespace AND relname <> '{CHANNELS}'"
    )
    for table in tables:
        texts += [str(found) for found in database.query(f"SELECT * FROM {table['name']}")]
    assert "webhook answered HTTP 404" in "".join(texts)
    assert not [text for text in texts if TOKEN in text or TOKEN[:12] in text]


def test_a_proxy_is_the_way_to_discord(retry: Retry, tmp_path: Path) -> None:
    authority, tls = trustme.CA(), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("discord.example").configure_cert(tls)
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    retry.channel("news", webhook_url=f"https://discord.example/api/webhooks/1/{TOKEN}")
    notification = retry.add("news", "e1")
    created = b'HTTP/1.1 201 Created\r\nContent-Length: 10\r\n\r\n{"id":"9"}'

    with (
        ScriptedServer(Script([created]), tls=tls) as discord,
        ForwardProxy({"discord.example": discord.port}) as proxy,
    ):
        url = f"http://127.0.0.1:{proxy.port}"
        retry.run(OUTBOUND_PROXY=url, OUTBOUND_CA_FILE=str(tmp_path / "ca.pem"))

    assert proxy.asked == ["discord.example:443"]
    assert len(discord.heads) == 1
    after = retry.row(notification)
    assert (after["status"], after["discord_message_id"]) == ("success", "9")
