"""webhook-delivery: what receivers get, and what is in the rows afterwards."""

from __future__ import annotations

import base64
import json
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from uuid import UUID

import pytest
from psycopg.rows import DictRow

from common.config import SettingsError, load
from common.logging.formatter import OURS
from common.scheduling.scheduler import NOTHING, PassResult
from common.version import VERSION
from devservers.child_processes import PATIENCE, free_port, poll_until
from devservers.network.forward_proxy import ForwardProxy
from devservers.standins.webhook_answers import SLOW_SECONDS
from devservers.standins.webhook_receiver import WebhookReceiver
from testing.database import TestDatabase
from testing.passes import DAY, GO_ZERO_TIME, HOUR, MINUTE, NOW, outbox, preview, run_pass
from tests.support.row_faults import locked_by_another_session
from tests.workers.webhook.deliveries import (
    OPEN,
    SECRET,
    add,
    add_webhook,
    attempt,
    deliver,
    delivery,
    received,
    rows,
    states,
)
from workers.webhook import SERVICE, delivery_pass, webhook_retry
from workers.webhook.http_delivery.attempt import hide
from workers.webhook.receivers import ALLOW_PRIVATE_CIDRS, PROXY
from workers.webhook.webhook_delivery import SCHEDULER

IGNORED, LOST = "lease_ignored", "lease_lost"


def during_pass(now: datetime) -> bool:
    """Whether this time is one of a pass that began at NOW."""
    return NOW <= now < NOW + timedelta(seconds=PATIENCE)


def webhook_row(database: TestDatabase) -> DictRow:
    return database.one("SELECT * FROM webhook_webhooks")


def test_a_delivery_arrives_as_the_live_pool_sends_it(
    database: TestDatabase, receiver: WebhookReceiver
) -> None:
    receiver.secret = SECRET
    payload = '{"größe": "\N{BREAD}", "nested": {"a": [1, 2.50]}}  '
    row = add(
        database,
        f"{receiver.url}/hook?a=1",
        event_type="link.expired",
        event_payload=payload,
        attempt_count=1,
    )

    result = deliver(database)

    [request] = receiver.received
    assert (request.path, request.body) == ("/hook?a=1", payload.encode())
    assert request.verified
    expected = {
        "content-type": "application/json",
        "x-webhook-event": "link.expired",
        "x-webhook-delivery": str(row),
        "webhook-id": str(row),
        "x-webhook-attempt": "2",
        "host": f"127.0.0.1:{receiver.port}",
        "accept-encoding": "identity",
        "user-agent": f"ToxicToastGo-Webhook/1.0 toast-workers/{VERSION}",
    }
    assert {name: request.headers[name] for name in expected} == expected
    assert (result.processed, result.events, result.failed) == (1, 0, 0)
    assert result.details["delivered"] == 1
    assert outbox(database) == []


def test_a_url_that_logs_in_and_a_name_of_its_own_are_sent(
    database: TestDatabase, receiver: WebhookReceiver
) -> None:
    where = f"127.0.0.1:{receiver.port}/"
    logins = {"us%C3%A9r:p%40ss:%25": "usér:p@ss:%", "token": "token:", "": ":"}
    for login in logins:
        add(database, f"http://{login}@{where}")
    # As the live pool, which takes blanks off.
    add(database, f"http://{where}plain", event_type=" blanks ")

    deliver(database, WEBHOOK_USER_AGENT="ToxicToastGo-Webhook/1.0")

    sent = {request.headers.get("authorization", "") for request in receiver.received}
    assert sent == {"", *(basic(login) for login in logins.values())}
    assert {r.headers["user-agent"] for r in receiver.received} == {"ToxicToastGo-Webhook/1.0"}
    stored = rows(database, "SELECT request_url, request_headers FROM webhook_delivery_attempts")
    assert {row["request_url"] for row in stored} == {f"http://{where}", f"http://{where}plain"}
    headers = [json.loads(row["request_headers"]) for row in stored]
    assert sorted(str(each.get("Authorization")) for each in headers) == ["***"] * 3 + ["None"]


def basic(login: str) -> str:
    return f"Basic {base64.b64encode(login.encode()).decode()}"


def test_through_a_proxy_the_guard_checks_the_addresses_in_urls(
    database: TestDatabase, receiver: WebhookReceiver
) -> None:
    unknown = add(database, "http://hooks.invalid/hook")
    refused = add(database, "http://10.0.0.1/hook")
    delivered = add(database, "http://hooks.example/hook?a=1")

    with ForwardProxy({"hooks.example": receiver.port}, login="us:pass") as proxy:
        url = f"http://us:pass@127.0.0.1:{proxy.port}"
        deliver(database, WEBHOOK_PROXY=url, WEBHOOK_ALLOW_PRIVATE_CIDRS="")

    assert received(receiver) == {delivered: 1}
    assert sorted(proxy.asked) == ["http://hooks.example/hook?a=1", "http://hooks.invalid/hook"]
    errors = {row: attempt(database, row)["error"] for row in (unknown, refused)}
    assert errors == {
        unknown: "HTTP 502",
        refused: "refused: the address 10.0.0.1 is private",
    }


def test_a_success_is_written_down_with_its_attempt(
    database: TestDatabase, receiver: WebhookReceiver
) -> None:
    url = f"{receiver.url}/hook"
    counters = {"total_deliveries": 7, "success_deliveries": 4, "failed_deliveries": 3}
    webhook = add_webhook(database, url, **counters)
    row = add(database, webhook, attempt_count=1, event_payload="{}", last_error="HTTP 500")

    deliver(database)

    after = delivery(database, row)
    assert (after["status"], after["attempt_count"], after["last_error"]) == ("success", 2, "")
    assert after["next_retry_at"] is None
    assert during_pass(after["completed_at"])
    assert after["completed_at"] == after["last_attempt_at"] == after["updated_at"]
    made = attempt(database, row)
    assert made["attempt_number"] == 2
    assert (made["request_url"], made["request_body"]) == (url, "{}")
    assert (made["response_status"], made["response_body"]) == (200, '{"ok": true}')
    assert (made["success"], made["error"], made["deleted_at"]) == (True, "", None)
    assert made["created_at"] == after["last_attempt_at"]
    assert 0 <= made["duration_ms"] < PATIENCE * 1000
    assert json.loads(made["response_headers"])["Content-Length"] == "12"
    counted = webhook_row(database)
    assert [counted[name] for name in counters] == [8, 5, 3]
    assert counted["last_delivery_at"] == counted["last_success_at"] == after["completed_at"]
    assert counted["last_failure_at"] == GO_ZERO_TIME


def test_a_failure_with_attempts_left_is_left_to_webhook_retry(
    database: TestDatabase, receiver: WebhookReceiver
) -> None:
    row = add(database, f"{receiver.url}/status/500", attempt_count=1)

    result = deliver(database)

    after = delivery(database, row)
    assert (after["status"], after["attempt_count"]) == ("failed", 2)
    assert (after["last_error"], after["next_retry_at"]) == ("HTTP 500", None)
    assert during_pass(after["last_attempt_at"])
    assert after["completed_at"] is None
    made = attempt(database, row)
    assert (made["response_status"], made["success"], made["error"]) == (500, False, "HTTP 500")
    counted = webhook_row(database)
    counters = ("total_deliveries", "success_deliveries", "failed_deliveries")
    assert [counted[name] for name in counters] == [1, 0, 1]
    assert counted["last_delivery_at"] == counted["last_failure_at"] == after["last_attempt_at"]
    assert counted["last_success_at"] == GO_ZERO_TIME
    assert (result.processed, result.details["undelivered"], result.failed) == (1, 1, 0)

    run_pass(database, webhook_retry.SCHEDULER)
    assert delivery(database, row)["next_retry_at"] == NOW + 4 * MINUTE


def test_rows_that_are_not_due_stay_as_they_are(
    database: TestDatabase, receiver: WebhookReceiver
) -> None:
    webhook = add_webhook(database, f"{receiver.url}/hook")
    add(database, webhook, next_retry_at=NOW + HOUR)
    add(database, webhook, next_retry_at=None)
    add(database, webhook, deleted_at=NOW - DAY)
    for status in ("pending", "failed", "success"):
        add(database, webhook, status=status)
    before = states(database)
    due = [add(database, webhook), add(database, webhook, next_retry_at=NOW)]

    result = deliver(database)

    assert received(receiver) == dict.fromkeys(due, 1)
    after = states(database)
    assert {row: after[row] for row in before} == before
    assert result.processed == 2


@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
def test_every_2xx_is_a_success(
    database: TestDatabase, receiver: WebhookReceiver, status: int
) -> None:
    row = add(database, f"{receiver.url}/status/{status}")

    deliver(database)

    assert delivery(database, row)["status"] == "success"
    assert received(receiver) == {row: 1}


@pytest.mark.parametrize(
    ("path", "status", "error"),
    [
        ("/status/400", 400, "HTTP 400"),
        ("/status/404", 404, "HTTP 404"),
        ("/status/503", 503, "HTTP 503"),
        ("/status/304", 304, "HTTP 304: redirects are not followed"),
        ("/redirect", 302, "HTTP 302: redirects are not followed"),
        ("/hang-up", 0, "the connection failed: RemoteDisconnected"),
        ("/garbage", 0, "the answer is not HTTP: BadStatusLine"),
    ],
)
def test_every_other_answer_is_a_failed_attempt(
    database: TestDatabase, receiver: WebhookReceiver, path: str, status: int, error: str
) -> None:
    row = add(database, receiver.url + path)

    deliver(database)

    assert [request.path for request in receiver.received] == [path]
    made, after = attempt(database, row), delivery(database, row)
    assert (made["response_status"], made["error"]) == (status, error)
    assert (after["status"], after["last_error"]) == ("failed", error)


def test_an_attempt_that_cannot_be_sent_records_the_reason(
    database: TestDatabase, receivers: list[WebhookReceiver]
) -> None:
    closed, opened = receivers[:2]
    reasons = {
        f"{closed.url}/hook": "refused: the address 127.0.0.1 is loopback",
        "http://10.0.0.1/hook": "refused: the address 10.0.0.1 is private",
        "https://[::1]/hook": "refused: the address ::1 is loopback",
        "http://2130706433/": "refused: the URL's host is an IP address in an odd spelling",
        "ftp://hooks.example/": "refused: not an http or https URL",
        "not a URL": "refused: the URL holds a blank, a control character or a backslash",
        "": "refused: not an http or https URL",
        f"http://127.0.0.2:{free_port()}/": "the connection failed: Connection refused",
    }
    expected = {add(database, url): reason for url, reason in reasons.items()}
    for number, event_type in enumerate(("a\r\nX-Injected: yes", "a\nb", "\N{BREAD}")):
        row = add(database, f"{opened.url}/{number}", event_type=event_type)
        expected[row] = "a header of the request holds what no header may"

    result = deliver(database, WEBHOOK_ALLOW_PRIVATE_CIDRS="127.0.0.2/32")

    made = {row: attempt(database, row) for row in expected}
    assert {row: made[row]["error"] for row in made} == expected
    assert {row["response_status"] for row in made.values()} == {0}
    assert {row: state["last_error"] for row, state in states(database).items()} == expected
    assert (result.processed, result.failed) == (len(expected), 0)
    assert (closed.connections, opened.received) == (0, [])


@pytest.mark.parametrize("path", ["status/500", "status/503?retry_after=60", "hang-up"])
def test_the_last_attempt_ends_the_delivery(
    database: TestDatabase, receiver: WebhookReceiver, path: str
) -> None:
    webhook = add_webhook(database, f"{receiver.url}/{path}")
    ends = {add(database, webhook, attempt_count=before): before + 1 for before in (4, 9)}

    deliver(database, WEBHOOK_MAX_RETRIES="5")

    for row, count in ends.items():
        after = delivery(database, row)
        assert (after["status"], after["attempt_count"]) == ("failed", count)
        assert after["next_retry_at"] is None
        assert after["completed_at"] == after["last_attempt_at"]
    assert run_pass(database, webhook_retry.SCHEDULER, WEBHOOK_MAX_RETRIES="5").processed == 0


def test_the_last_attempt_but_one_leaves_another(
    database: TestDatabase, receiver: WebhookReceiver
) -> None:
    row = add(database, f"{receiver.url}/status/500", attempt_count=3)

    deliver(database, WEBHOOK_MAX_RETRIES="5")
    run_pass(database, webhook_retry.SCHEDULER, WEBHOOK_MAX_RETRIES="5")

    after = delivery(database, row)
    assert (after["status"], after["completed_at"]) == ("retrying", None)


def test_410_is_final(database: TestDatabase, receiver: WebhookReceiver) -> None:
    row = add(database, f"{receiver.url}/status/410?retry_after=60")

    deliver(database)
    run_pass(database, webhook_retry.SCHEDULER)

    after = delivery(database, row)
    assert (after["status"], after["attempt_count"], after["next_retry_at"]) == ("failed", 3, None)
    assert after["last_error"] == "HTTP 410: the receiver wants no more deliveries"
    assert during_pass(after["completed_at"])
    made, webhook = attempt(database, row), webhook_row(database)
    assert (made["attempt_number"], made["response_status"]) == (1, 410)
    assert (webhook["active"], webhook["failed_deliveries"]) == (True, 1)


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize(
    ("seconds", "wait"), [("3600", HOUR), (" 120 ", 2 * MINUTE), ("0", MINUTE), ("999999", DAY)]
)
def test_retry_after_is_obeyed_from_a_minute_to_a_day(
    database: TestDatabase, receiver: WebhookReceiver, status: int, seconds: str, wait: timedelta
) -> None:
    row = add(database, f"{receiver.url}/hook")
    receiver.answers["/hook"] = f"/status/{status}?retry_after={seconds}"

    deliver(database)
    scheduled = run_pass(database, webhook_retry.SCHEDULER)

    after = delivery(database, row)
    assert (after["status"], after["attempt_count"]) == ("retrying", 1)
    assert after["next_retry_at"] == after["last_attempt_at"] + wait
    assert after["completed_at"] is None
    assert scheduled.processed == 0
    assert received(receiver) == {row: 1}


def test_a_webhook_that_is_no_longer_active_gets_nothing(
    database: TestDatabase, receiver: WebhookReceiver
) -> None:
    inactive = add_webhook(database, f"{receiver.url}/inactive", active=False)
    deleted = add_webhook(database, f"{receiver.url}/deleted", deleted_at=NOW - DAY)
    given_up = [add(database, webhook, attempt_count=1) for webhook in (inactive, deleted)]
    later = add(database, inactive, next_retry_at=NOW + HOUR)
    other = add(database, f"{receiver.url}/active")
    before = delivery(database, later)

    result = deliver(database)

    assert received(receiver) == {other: 1}
    for row in given_up:
        after = delivery(database, row)
        assert (after["status"], after["attempt_count"]) == ("failed", 1)
        assert (after["next_retry_at"], after["completed_at"]) == (None, None)
        assert after["last_error"] == "Webhook is no longer active"
    attempted = rows(database, "SELECT delivery_id FROM webhook_delivery_attempts")
    assert [row["delivery_id"] for row in attempted] == [other]
    assert delivery(database, later) == before
    assert delivery(database, other)["status"] == "success"
    assert (result.processed, result.details["inactive"]) == (3, 2)


def test_a_deadline_ends_every_slow_answer(
    database: TestDatabase, receivers: list[WebhookReceiver]
) -> None:
    paths = ("/stall", "/drip-head", "/drip-body", "/huge", "/bomb")
    ids = {
        path: add(database, receiver.url + path)
        for path, receiver in zip(paths, receivers, strict=True)
    }

    started = time.monotonic()
    deliver(database, WEBHOOK_DELIVERY_TIMEOUT="1s")
    took = time.monotonic() - started

    assert took < 1 + 10  # a drip would go on for ten minutes
    found = {path: attempt(database, row) for path, row in ids.items()}
    assert found["/stall"]["response_status"] == 0
    assert found["/stall"]["error"] == "no answer within 1 s"
    for path in ("/stall", "/drip-head", "/drip-body"):
        assert 900 < found[path]["duration_ms"] < 10_000
        assert found[path]["success"] is (path != "/stall")  # the status is what counts
    assert set(found["/drip-body"]["response_body"]) == {"a"}
    assert found["/huge"]["response_body"] == ("huge" * 2560)  # 10 KiB
    assert found["/bomb"]["response_body"] == "(not decoded: gzip)"


def test_a_slow_host_holds_up_no_other(
    database: TestDatabase, receivers: list[WebhookReceiver]
) -> None:
    slow, quick = receivers[:2]
    for number in range(30):
        add(database, f"{slow.url}/stall?{number}", next_retry_at=NOW - DAY)
        add(database, f"{quick.url}/{number}")

    def let_go() -> int:
        poll_until(lambda: len(quick.received) == 30, PATIENCE, 0.01)
        at_slow = len(slow.received)
        slow.stop()
        return at_slow

    with ThreadPoolExecutor() as pool:
        at_slow = pool.submit(let_go)
        result = deliver(database)

    assert at_slow.result() == 2  # while the quick one got all of its own
    assert slow.most_in_flight == 2
    assert quick.most_in_flight <= 2
    assert result.details == {"delivered": 30, "undelivered": 30}


def test_hosts_take_turns_and_the_first_delivery_of_each_is_its_oldest(
    database: TestDatabase, receivers: list[WebhookReceiver]
) -> None:
    first, second = receivers[:2]
    for number in range(3):
        add(database, f"{first.url}/{number}", next_retry_at=NOW - (9 - number) * HOUR)
    for number in range(2):
        add(database, f"{second.url}/{number}", next_retry_at=NOW - (4 - number) * HOUR)

    deliver(database, WEBHOOK_WORKER_COUNT="1")

    requests = [
        (request.at, request.path, receiver.port)
        for receiver in receivers
        for request in receiver.received
    ]
    order = [(path, port) for _, path, port in sorted(requests)]
    one, other = first.port, second.port
    assert order == [("/0", one), ("/0", other), ("/1", one), ("/1", other), ("/2", one)]


def test_no_more_are_under_way_than_the_worker_count(
    database: TestDatabase, receivers: list[WebhookReceiver]
) -> None:
    for receiver in receivers[:3]:
        add(database, f"{receiver.url}/slow")

    deliver(database, WEBHOOK_WORKER_COUNT="1")

    first, second, third = sorted(receiver.received[0].at for receiver in receivers[:3])
    assert second - first >= SLOW_SECONDS
    assert third - second >= SLOW_SECONDS


def test_what_becomes_due_while_a_pass_waits_is_sent_by_it(
    database: TestDatabase, receiver: WebhookReceiver
) -> None:
    signs_of_life: list[PassResult] = []
    add(database, f"{receiver.url}/slow")
    add(database, f"{receiver.url}/soon", next_retry_at=NOW + timedelta(milliseconds=200))
    add(database, f"{receiver.url}/later", next_retry_at=NOW + HOUR)

    result = deliver(database, report_progress=signs_of_life.append)

    assert [request.path for request in receiver.received] == ["/slow", "/soon"]
    assert result.processed == 2
    assert len(signs_of_life) >= 3
    assert sum(signs_of_life, NOTHING).counts == result.counts


def test_a_stop_ends_a_pass_between_two_rows(
    database: TestDatabase, receivers: list[WebhookReceiver]
) -> None:
    taken = "SELECT id FROM webhook_deliveries WHERE status <> 'retrying' OR next_retry_at > %s"
    for receiver in receivers[:3]:
        add(database, f"{receiver.url}/hook")

    result = deliver(database, stopping=lambda: database.query(taken, NOW) != [])

    assert (result.processed, result.complete) == (1, False)


def test_a_row_that_another_worker_is_taking_is_left_to_it(
    database: TestDatabase, receiver: WebhookReceiver
) -> None:
    held = add(database, f"{receiver.url}/held", next_retry_at=NOW - DAY)
    other = add(database, f"{receiver.url}/hook")

    with locked_by_another_session(database, "webhook_deliveries", held):
        result = deliver(database)

    assert received(receiver) == {other: 1}
    assert (result.processed, result.failed, result.complete) == (1, 0, True)


@pytest.mark.parametrize(
    ("change", "margin", "detail", "event", "status"),
    [
        ("next_retry_at = next_retry_at + '1 s'::interval", 15, "overtaken", IGNORED, "retrying"),
        ("attempt_count = attempt_count + 1", 15, "overtaken", IGNORED, "retrying"),
        ("status = 'success', completed_at = now()", 15, "overtaken", IGNORED, "success"),
        ("status = 'failed'", -29.9, "dropped", LOST, "failed"),
    ],
)
def test_an_outcome_of_a_row_that_another_process_has_changed_overwrites_nothing(
    database: TestDatabase,
    receiver: WebhookReceiver,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    change: str,
    margin: float,
    detail: str,
    event: str,
    status: str,
) -> None:
    monkeypatch.setattr(delivery_pass, "LEASE_MARGIN", timedelta(seconds=margin))
    add(database, f"{receiver.url}/slow")

    def another_process() -> dict[UUID, DictRow]:
        poll_until(lambda: len(receiver.received) == 1, PATIENCE, 0.01)
        database.query(f"UPDATE webhook_deliveries SET {change}")
        return states(database)

    with ThreadPoolExecutor() as pool:
        changed = pool.submit(another_process)
        result = deliver(database)

    assert states(database) == changed.result()
    assert database.query("SELECT id FROM webhook_delivery_attempts") == []
    assert webhook_row(database)["total_deliveries"] == 0
    assert (result.processed, result.details[detail]) == (0, 1)
    [record] = [record for record in caplog.records if record.message.startswith("lease_")]
    assert (record.message, vars(record)[OURS]["status"]) == (event, status)


def test_a_dry_run_shows_what_is_due_and_sends_nothing(
    database: TestDatabase, receiver: WebhookReceiver
) -> None:
    due = add(database, f"{receiver.url}/hook", attempt_count=2)
    add(database, f"{receiver.url}/later", next_retry_at=NOW + HOUR)
    before = states(database)

    shown = preview(database, SCHEDULER, **OPEN)

    assert [row["id"] for row in shown.rows] == [due]
    assert shown.count == 1
    assert "http" not in str(shown.rows)
    assert states(database) == before
    assert receiver.connections == 0


def test_what_is_stored_of_an_answer_holds_no_secret_and_fits_a_text() -> None:
    assert hide("a \0 b", "") == "a � b"
    assert hide('{"k": "s3c\\"ret"} s3c%22ret s3c"ret', 's3c"ret') == '{"k": "***"} *** ***'
    assert hide("an abc", "abc") == "an abc"  # too short to be distinguished from a word
    assert hide("Authorization: Bearer abcdef", "") == "Authorization: Bearer ***"


def test_it_is_off_by_default_and_the_last_of_its_service(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DB_HOST", "db")
    monkeypatch.setenv("DB_USER", "toast")
    settings = load("webhook", SERVICE.variables)

    assert settings[SCHEDULER.enabled] is False
    assert settings[SCHEDULER.interval] == MINUTE
    assert settings[ALLOW_PRIVATE_CIDRS] == ()
    assert not any("WEBHOOK_" in warning for warning in settings.warnings)
    assert SERVICE.schedulers[-1] is SCHEDULER


def test_a_proxy_is_warned_about_without_its_password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DB_HOST", "db")
    monkeypatch.setenv("DB_USER", "toast")
    monkeypatch.setenv("WEBHOOK_PROXY", "http://us:pass@proxy.example:3128")
    settings = load("webhook", SERVICE.variables)

    [warning] = (each for each in settings.warnings if "WEBHOOK_" in each)
    assert warning.startswith("WEBHOOK_PROXY is set: the proxy looks up the names of webhooks")
    assert settings.written(PROXY) == "(hidden)"
    monkeypatch.setenv("WEBHOOK_PROXY", "http://us:p@ss@proxy.example:3128")
    monkeypatch.setenv("WEBHOOK_USER_AGENT", "größe")
    with pytest.raises(SettingsError) as faults:
        load("webhook", SERVICE.variables)
    agent, proxy = sorted(faults.value.faults, key=lambda fault: "PROXY" in fault)
    assert "WEBHOOK_USER_AGENT" in agent
    assert "expected http://[user:password@]host:port" in proxy
    assert "p@ss" not in proxy
