"""webhook-delivery: what receivers get, and what is in the rows afterwards."""

from __future__ import annotations

import json
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from psycopg.rows import DictRow

from common.config import load
from common.errors import PassError
from common.scheduling.scheduler import NOTHING, PassResult
from devservers.child_processes import PATIENCE, free_port, poll_until
from devservers.standins.webhook_answers import SLOW_SECONDS
from devservers.standins.webhook_receiver import WebhookReceiver
from testing.database import TestDatabase
from testing.passes import (
    DAY,
    GO_ZERO_TIME,
    HOUR,
    MINUTE,
    NOW,
    failed_rows,
    outbox,
    preview,
    run_pass,
)
from testing.processes import Process, environment, toast
from tests.support.row_faults import refusal
from workers.webhook import SERVICE, webhook_retry
from workers.webhook.delivery_pass import LEASE_MARGIN
from workers.webhook.http_delivery.attempt import hide
from workers.webhook.http_delivery.delivery_client import ReceiverReply
from workers.webhook.http_delivery.retry_decision import decide, retry_after
from workers.webhook.sender_pool import HostQueue, SenderPool
from workers.webhook.webhook_delivery import ALLOW_PRIVATE_CIDRS, SCHEDULER

SECRET = "Pl4nted-Secret-0f-the-w3bhook"
OPEN = {"WEBHOOK_ALLOW_PRIVATE_CIDRS": "127.0.0.0/8"}
SECOND = timedelta(seconds=1)


@dataclass(frozen=True, slots=True)
class Letter:
    host: str


def add_webhook(database: TestDatabase, url: str, **columns: object) -> UUID:
    never = dict.fromkeys(("last_delivery_at", "last_success_at", "last_failure_at"), GO_ZERO_TIME)
    row = database.insert("webhook_webhooks", **{"url": url, "secret": SECRET, **never, **columns})
    return UUID(str(row["id"]))


def add(database: TestDatabase, webhook: UUID | str, **columns: object) -> UUID:
    """A delivery that is due, to a webhook or to a new one of this URL."""
    if isinstance(webhook, str):
        webhook = add_webhook(database, webhook)
    given = {"webhook_id": webhook, "status": "retrying", "next_retry_at": NOW - HOUR, **columns}
    return UUID(str(database.insert("webhook_deliveries", **given)["id"]))


def delivery(database: TestDatabase, row: UUID) -> DictRow:
    [found] = database.query("SELECT * FROM webhook_deliveries WHERE id = %s", row)
    return found


def attempts(database: TestDatabase, row: UUID) -> list[DictRow]:
    query = "SELECT * FROM webhook_delivery_attempts WHERE delivery_id = %s ORDER BY created_at"
    return database.query(query, row)


def states(database: TestDatabase) -> dict[UUID, DictRow]:
    return {row["id"]: row for row in database.query("SELECT * FROM webhook_deliveries")}


def deliver(database: TestDatabase, **details: Any) -> PassResult:
    return run_pass(database, SCHEDULER, **{**OPEN, **details})


def during(now: datetime | None) -> bool:
    """Whether this time is one of a pass that began at NOW."""
    return now is not None and NOW <= now < NOW + timedelta(seconds=PATIENCE)


def test_a_delivery_arrives_as_the_live_pool_sends_it(database: TestDatabase) -> None:
    payload = '{"größe": "\N{BREAD}", "nested": {"a": [1, 2.50]}}  '
    with WebhookReceiver(secret=SECRET) as receiver:
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
    headers = request.headers
    assert headers["content-type"] == "application/json"
    assert headers["x-webhook-event"] == "link.expired"
    assert headers["x-webhook-delivery"] == headers["webhook-id"] == str(row)
    assert headers["x-webhook-attempt"] == "2"
    assert headers["host"] == f"127.0.0.1:{receiver.port}"
    assert headers["accept-encoding"] == "identity"
    assert (result.processed, result.events, result.failed) == (1, 0, 0)
    assert result.details["delivered"] == 1
    assert outbox(database) == []


def test_a_success_is_written_down_with_its_attempt(database: TestDatabase) -> None:
    with WebhookReceiver(secret=SECRET) as receiver:
        url = f"{receiver.url}/hook"
        webhook = add_webhook(
            database, url, total_deliveries=7, success_deliveries=4, failed_deliveries=3
        )
        row = add(database, webhook, attempt_count=1, event_payload="{}", last_error="HTTP 500")
        deliver(database)

    after = delivery(database, row)
    assert (after["status"], after["attempt_count"], after["last_error"]) == ("success", 2, "")
    assert after["next_retry_at"] is None
    assert during(after["completed_at"])
    assert after["completed_at"] == after["last_attempt_at"] == after["updated_at"]
    [attempt] = attempts(database, row)
    assert attempt["attempt_number"] == 2
    assert (attempt["request_url"], attempt["request_body"]) == (url, "{}")
    assert (attempt["response_status"], attempt["response_body"]) == (200, '{"ok": true}')
    assert (attempt["success"], attempt["error"]) == (True, "")
    assert attempt["created_at"] == after["last_attempt_at"]
    assert 0 <= attempt["duration_ms"] < PATIENCE * 1000
    assert attempt["deleted_at"] is None
    assert json.loads(attempt["response_headers"])["Content-Length"] == "12"
    [counted] = database.query("SELECT * FROM webhook_webhooks")
    assert counted["total_deliveries"] == 8
    assert (counted["success_deliveries"], counted["failed_deliveries"]) == (5, 3)
    assert counted["last_delivery_at"] == counted["last_success_at"] == after["completed_at"]
    assert counted["last_failure_at"] == GO_ZERO_TIME


def test_a_failure_with_attempts_left_is_left_to_webhook_retry(database: TestDatabase) -> None:
    with WebhookReceiver() as receiver:
        row = add(database, f"{receiver.url}/status/500", attempt_count=1)
        result = deliver(database)

    after = delivery(database, row)
    assert (after["status"], after["attempt_count"]) == ("failed", 2)
    assert (after["last_error"], after["next_retry_at"]) == ("HTTP 500", None)
    assert during(after["last_attempt_at"])
    assert after["completed_at"] is None
    [attempt] = attempts(database, row)
    assert (attempt["response_status"], attempt["success"]) == (500, False)
    assert attempt["error"] == "HTTP 500"
    [counted] = database.query("SELECT * FROM webhook_webhooks")
    counters = ("total_deliveries", "success_deliveries", "failed_deliveries")
    assert [counted[name] for name in counters] == [1, 0, 1]
    assert counted["last_delivery_at"] == counted["last_failure_at"] == after["last_attempt_at"]
    assert counted["last_success_at"] == GO_ZERO_TIME
    assert (result.processed, result.details["undelivered"], result.failed) == (1, 1, 0)

    run_pass(database, webhook_retry.SCHEDULER)
    assert delivery(database, row)["next_retry_at"] == NOW + 4 * MINUTE


def test_rows_that_are_not_due_stay_as_they_are(database: TestDatabase) -> None:
    with WebhookReceiver() as receiver:
        webhook = add_webhook(database, f"{receiver.url}/hook")
        add(database, webhook, next_retry_at=NOW + HOUR)
        add(database, webhook, next_retry_at=None)
        add(database, webhook, deleted_at=NOW - DAY)
        for status in ("pending", "failed", "success"):
            add(database, webhook, status=status)
        before = states(database)
        due = add(database, webhook)
        exactly_now = add(database, webhook, next_retry_at=NOW)
        result = deliver(database)

    assert {request.headers["webhook-id"] for request in receiver.received} == {
        str(due),
        str(exactly_now),
    }
    after = states(database)
    assert {row: after[row] for row in before} == before
    assert result.processed == 2


REPLIES: dict[str, tuple[int, str]] = {
    "/status/400": (400, "HTTP 400"),
    "/status/404": (404, "HTTP 404"),
    "/status/500": (500, "HTTP 500"),
    "/status/503": (503, "HTTP 503"),
    "/status/304": (304, "HTTP 304: redirects are not followed"),
    "/redirect": (302, "HTTP 302: redirects are not followed"),
    "/hang-up": (0, "the connection failed: RemoteDisconnected"),
    "/garbage": (0, "the answer is not HTTP: BadStatusLine"),
}


def test_every_2xx_is_a_success_and_every_other_answer_a_failed_attempt(
    database: TestDatabase,
) -> None:
    successes = [f"/status/{status}" for status in (200, 201, 202, 204, 299)]
    with WebhookReceiver() as receiver:
        delivered = [add(database, receiver.url + path) for path in successes]
        rows = {path: add(database, receiver.url + path) for path in REPLIES}
        deliver(database)

    assert sorted(request.path for request in receiver.received) == sorted([*successes, *REPLIES])
    assert {delivery(database, row)["status"] for row in delivered} == {"success"}
    for path, row in rows.items():
        [attempt] = attempts(database, row)
        found = (attempt["response_status"], attempt["error"])
        assert found == REPLIES[path]
        after = delivery(database, row)
        assert (after["status"], after["last_error"]) == ("failed", attempt["error"])


def test_an_attempt_that_cannot_be_sent_records_the_reason(database: TestDatabase) -> None:
    odd_header = "a header of the request holds what no header may"
    with WebhookReceiver(host="127.0.0.2") as opened, WebhookReceiver() as closed:
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
        rows = {add(database, url): reason for url, reason in reasons.items()}
        for number, event_type in enumerate(("a\r\nX-Injected: yes", "a\nb", "\N{BREAD}")):
            row = add(database, f"{opened.url}/{number}", event_type=event_type)
            rows[row] = odd_header
        result = deliver(database, WEBHOOK_ALLOW_PRIVATE_CIDRS="127.0.0.2/32")

    for row, reason in rows.items():
        [attempt] = attempts(database, row)
        assert (attempt["response_status"], attempt["error"]) == (0, reason)
        assert delivery(database, row)["last_error"] == reason
    assert (result.processed, result.failed) == (len(rows), 0)
    assert closed.connections == 0
    assert opened.received == []


def test_the_last_attempt_ends_the_delivery(database: TestDatabase) -> None:
    with WebhookReceiver() as receiver:
        last = add(database, f"{receiver.url}/status/500?last", attempt_count=4)
        unanswered = add(database, f"{receiver.url}/hang-up", attempt_count=4)
        beyond = add(database, f"{receiver.url}/status/500?beyond", attempt_count=9)
        last_but_one = add(database, f"{receiver.url}/status/500?left", attempt_count=3)
        deliver(database, WEBHOOK_MAX_RETRIES="5")

    for row, count in ((last, 5), (unanswered, 5), (beyond, 10)):
        after = delivery(database, row)
        assert (after["status"], after["attempt_count"]) == ("failed", count)
        assert after["completed_at"] == after["last_attempt_at"]
    assert delivery(database, last_but_one)["completed_at"] is None

    scheduled = run_pass(database, webhook_retry.SCHEDULER, WEBHOOK_MAX_RETRIES="5")
    assert scheduled.processed == 1
    assert delivery(database, last_but_one)["status"] == "retrying"


def test_410_is_final(database: TestDatabase) -> None:
    with WebhookReceiver() as receiver:
        row = add(database, f"{receiver.url}/status/410?retry_after=60")
        deliver(database)
        run_pass(database, webhook_retry.SCHEDULER)

    after = delivery(database, row)
    assert (after["status"], after["attempt_count"], after["next_retry_at"]) == ("failed", 3, None)
    assert after["last_error"] == "HTTP 410: the receiver wants no more deliveries"
    assert during(after["completed_at"])
    [attempt] = attempts(database, row)
    assert (attempt["attempt_number"], attempt["response_status"]) == (1, 410)
    [webhook] = database.query("SELECT active, failed_deliveries FROM webhook_webhooks")
    assert (webhook["active"], webhook["failed_deliveries"]) == (True, 1)


def test_retry_after_is_obeyed_up_to_a_day(database: TestDatabase) -> None:
    waits = {"3600": HOUR, "1": MINUTE, "999999": DAY}
    with WebhookReceiver() as receiver:
        rows = {
            add(database, f"{receiver.url}/status/{status}?retry_after={seconds}"): wait
            for status in (429, 503)
            for seconds, wait in waits.items()
        }
        deliver(database)
        scheduled = run_pass(database, webhook_retry.SCHEDULER)

    for row, wait in rows.items():
        after = delivery(database, row)
        assert (after["status"], after["attempt_count"]) == ("retrying", 1)
        assert after["next_retry_at"] == after["last_attempt_at"] + wait
        assert after["completed_at"] is None
    assert scheduled.processed == 0
    assert len(receiver.received) == len(rows)


@pytest.mark.parametrize(
    ("header", "wait"),
    [
        ("120", 2 * MINUTE),
        (" 120 ", 2 * MINUTE),
        ("0", MINUTE),
        ("86400", DAY),
        ("86401", DAY),
        ("9" * 4000, DAY),
        ("Thu, 29 Feb 2024 13:00:00 GMT", HOUR - SECOND / 2),
        ("Thursday, 29-Feb-24 13:00:00 GMT", HOUR - SECOND / 2),
        ("Thu Feb 29 13:00:00 2024", HOUR - SECOND / 2),
        ("Fri, 01 Jan 2100 00:00:00 GMT", DAY),
        ("Thu, 01 Jan 1970 00:00:00 GMT", MINUTE),
        ("", None),
        ("soon", None),
        ("-1", None),
        ("1.5", None),
        ("\u0661", None),
        ("Thu, 99 Feb 2024 13:00:00 GMT", None),
        ("9" * 5000, None),
    ],
)
def test_a_retry_after_header_is_seconds_or_a_date(header: str, wait: timedelta | None) -> None:
    assert retry_after(header, NOW) == wait


def test_the_last_attempt_is_the_last_even_with_a_retry_after() -> None:
    outcome = decide(ReceiverReply(503, retry_after="60"), attempt=3, max_attempts=3, now=NOW)

    assert (outcome.status, outcome.completed, outcome.retry_after) == ("failed", True, None)


def test_a_webhook_that_is_no_longer_active_gets_nothing(database: TestDatabase) -> None:
    with WebhookReceiver() as receiver:
        inactive = add_webhook(database, f"{receiver.url}/inactive", active=False)
        deleted = add_webhook(database, f"{receiver.url}/deleted", deleted_at=NOW - DAY)
        given_up = [add(database, webhook, attempt_count=1) for webhook in (inactive, deleted)]
        later = add(database, inactive, next_retry_at=NOW + HOUR)
        other = add(database, f"{receiver.url}/active")
        before = delivery(database, later)
        result = deliver(database)

    assert [request.path for request in receiver.received] == ["/active"]
    for row in given_up:
        after = delivery(database, row)
        assert (after["status"], after["attempt_count"]) == ("failed", 1)
        assert (after["next_retry_at"], after["completed_at"]) == (None, None)
        assert after["last_error"] == "Webhook is no longer active"
        assert attempts(database, row) == []
    assert delivery(database, later) == before
    assert delivery(database, other)["status"] == "success"
    assert (result.processed, result.details["inactive"]) == (3, 2)


def test_a_deadline_ends_every_slow_answer(database: TestDatabase) -> None:
    paths = ("/stall", "/drip-head", "/drip-body", "/huge", "/bomb")
    with ExitStack() as stack:
        rows = {}
        for number, path in enumerate(paths, start=1):  # each at a host of its own
            receiver = stack.enter_context(WebhookReceiver(host=f"127.0.0.{number}"))
            rows[path] = add(database, receiver.url + path)
        started = time.monotonic()
        deliver(database, WEBHOOK_DELIVERY_TIMEOUT="1s")
        took = time.monotonic() - started

    assert took < 1 + 10  # a drip would go on for ten minutes
    found = {path: attempts(database, row)[0] for path, row in rows.items()}
    for path in ("/stall", "/drip-head"):
        assert found[path]["response_status"] == 0
        assert found[path]["error"] == "no complete answer in time"
        assert 900 < found[path]["duration_ms"] < 10_000
    assert found["/drip-body"]["success"]  # the status is what counts
    assert set(found["/drip-body"]["response_body"]) == {"a"}
    assert found["/huge"]["response_body"] == ("huge" * 2560)
    assert len(found["/huge"]["response_body"]) == 10 * 1024
    assert found["/bomb"]["response_body"] == "(not decoded: gzip)"


def test_a_slow_host_holds_up_no_other(database: TestDatabase) -> None:
    with WebhookReceiver(host="127.0.0.2") as slow, WebhookReceiver() as quick:
        stalled = [
            add(database, f"{slow.url}/stall?{number}", next_retry_at=NOW - DAY)
            for number in range(30)
        ]
        for number in range(30):
            add(database, f"{quick.url}/{number}")
        at_slow: list[int] = []

        def let_go() -> None:
            poll_until(lambda: len(quick.received) == 30, PATIENCE, 0.01)
            at_slow.append(len(slow.received))
            slow.stop()

        with ThreadPoolExecutor() as pool:
            pool.submit(let_go)
            result = deliver(database)

    assert at_slow == [2]  # while the quick one got all of its own
    assert slow.most_in_flight == 2
    assert quick.most_in_flight <= 2
    assert result.details == {"delivered": 30, "undelivered": len(stalled)}


def test_no_more_are_under_way_than_the_worker_count(database: TestDatabase) -> None:
    with ExitStack() as stack:
        receivers = [
            stack.enter_context(WebhookReceiver(host=f"127.0.0.{number}")) for number in range(1, 4)
        ]
        for receiver in receivers:
            add(database, f"{receiver.url}/slow")
        deliver(database, WEBHOOK_WORKER_COUNT="1")

    first, second, third = sorted(receiver.received[0].at for receiver in receivers)
    assert second - first >= SLOW_SECONDS
    assert third - second >= SLOW_SECONDS


def test_what_becomes_due_while_a_pass_waits_is_sent_by_it(database: TestDatabase) -> None:
    signs_of_life: list[PassResult] = []
    with WebhookReceiver() as receiver:
        add(database, f"{receiver.url}/slow")
        add(database, f"{receiver.url}/soon", next_retry_at=NOW + timedelta(milliseconds=200))
        add(database, f"{receiver.url}/later", next_retry_at=NOW + HOUR)
        result = deliver(database, report_progress=signs_of_life.append)

    assert [request.path for request in receiver.received] == ["/slow", "/soon"]
    assert result.processed == 2
    assert len(signs_of_life) >= 3
    assert sum(signs_of_life, NOTHING).counts == result.counts


def test_a_pool_takes_its_size_and_two_for_one_host() -> None:
    released = threading.Event()
    pool: SenderPool[Letter, bool] = SenderPool(lambda letter: released.wait(PATIENCE), 3)

    pool.start(Letter("a"))
    assert pool.is_free("a")
    pool.start(Letter("a"))
    assert (pool.is_free("a"), pool.is_free("b"), pool.is_full) == (False, True, False)
    pool.start(Letter("b"))
    assert pool.is_full
    assert list(pool.finished(0.01)) == []

    released.set()
    while pool.in_flight:
        list(pool.finished(PATIENCE))
    assert (pool.is_free("a"), pool.is_full) == (True, False)


# The worker's own hook logs what a thread died of; here it is pytest's.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_pass_does_not_wait_for_a_thread_that_has_died() -> None:
    pool: SenderPool[Letter, float] = SenderPool(lambda letter: 1 / 0, 3)
    pool.start(Letter("a"))
    with pytest.raises(PassError, match="a thread that delivers has died"):
        list(pool.finished(PATIENCE))
    # Its entry is written when it ends; its error must be reported in this test.
    for thread in threading.enumerate():
        if thread.name == "webhook-sender":
            thread.join(PATIENCE)


def test_hosts_take_turns_and_what_is_first_in_a_host_stays_first() -> None:
    ids = [uuid4() for _ in range(6)]
    waiting = HostQueue()
    waiting.refill(zip("aaabbc", ids, strict=True))

    order = [waiting.pop(lambda host: True) for _ in range(7)]

    assert order == [ids[0], ids[3], ids[5], ids[1], ids[4], ids[2], None]
    waiting.refill([("a", ids[0]), ("b", ids[1])])
    assert waiting.pop(lambda host: host != "a") == ids[1]
    assert waiting.pop(lambda host: host != "a") is None


def test_two_workers_at_once_send_everything_once(database: TestDatabase) -> None:
    with WebhookReceiver(secret=SECRET) as one, WebhookReceiver(host="127.0.0.2") as other:
        rows = [
            add(database, f"{receiver.url}/slow?{number}")
            for number in range(8)
            for receiver in (one, other)
        ]
        commands = [Process("workers.webhook", env=worker(database)) for _ in range(2)]
        with commands[0], commands[1]:
            for command in commands:
                command.wait_for("pass_finished", scheduler="webhook-delivery")
            assert [command.stop() for command in commands] == [0, 0]
        received = [*one.received, *other.received]

    assert sorted(request.headers["webhook-id"] for request in received) == sorted(map(str, rows))
    assert all(request.verified for request in received)
    assert {row["status"] for row in states(database).values()} == {"success"}
    assert all(len(attempts(database, row)) == 1 for row in rows)
    shares = [
        command.records("pass_finished", scheduler="webhook-delivery") for command in commands
    ]
    assert sum(record["delivered"] for records in shares for record in records) == len(rows)


def worker(database: TestDatabase, **settings: str) -> dict[str, str]:
    """The environment of a webhook worker that does nothing but deliver."""
    only = {
        "WEBHOOK_RETRY_SCHEDULER_ENABLED": "false",
        "WEBHOOK_CLEANUP_ENABLED": "false",
        "WEBHOOK_DELIVERY_ENABLED": "true",
        "LOG_FORMAT": "json",
    }
    return environment(database, **{**OPEN, **only, **settings})


def shift(database: TestDatabase, back: timedelta) -> None:
    """Let time pass for every lease."""
    database.query("UPDATE webhook_deliveries SET next_retry_at = next_retry_at - %s", back)


def test_a_worker_that_is_killed_gives_its_rows_back_after_their_lease(
    database: TestDatabase,
) -> None:
    with WebhookReceiver() as receiver:
        row = add(database, f"{receiver.url}/stall", attempt_count=1)
        with Process("workers.webhook", env=worker(database)) as killed:
            assert poll_until(lambda: len(receiver.received) == 1, PATIENCE)
            killed.kill()
        taken = delivery(database, row)
        left = taken["next_retry_at"] - datetime.now(UTC)
        assert (taken["status"], taken["attempt_count"]) == ("retrying", 1)
        assert (
            timedelta(seconds=30) - SECOND * PATIENCE < left <= timedelta(seconds=30) + LEASE_MARGIN
        )
        receiver.answers["/stall"] = "/"
        command = ("once", "webhook", "webhook-delivery")

        assert toast(*command, env=worker(database)).code == 0
        assert len(receiver.received) == 1

        shift(database, timedelta(seconds=30) + LEASE_MARGIN)
        assert toast(*command, env=worker(database)).code == 0

    first, second = receiver.received
    assert first.headers["webhook-id"] == second.headers["webhook-id"] == str(row)
    assert first.headers["x-webhook-attempt"] == second.headers["x-webhook-attempt"] == "2"
    after = delivery(database, row)
    assert (after["status"], after["attempt_count"]) == ("success", 2)
    assert len(attempts(database, row)) == 1


def test_a_stop_waits_a_little_for_receivers_and_takes_nothing_more(database: TestDatabase) -> None:
    with WebhookReceiver() as receiver:
        slow = add(database, f"{receiver.url}/slow", next_retry_at=NOW - 3 * HOUR)
        stalled = add(database, f"{receiver.url}/stall", next_retry_at=NOW - 2 * HOUR)
        untouched = [add(database, f"{receiver.url}/{number}") for number in range(5)]
        before = states(database)
        with Process("workers.webhook", env=worker(database)) as stopped:
            assert poll_until(lambda: len(receiver.received) == 2, PATIENCE)
            assert stopped.stop(signal.SIGTERM) == 0
        [record] = stopped.records("pass_finished", scheduler="webhook-delivery")

    assert (record["result"], record["processed"]) == ("stopped", 1)
    after = states(database)
    assert after[slow]["status"] == "success"
    assert after[stalled]["status"] == "retrying"
    assert after[stalled]["attempt_count"] == 0
    assert after[stalled]["next_retry_at"] > datetime.now(UTC)
    assert {row: after[row] for row in untouched} == {row: before[row] for row in untouched}


def test_a_stop_ends_a_pass_between_two_rows(database: TestDatabase) -> None:
    taken = "SELECT id FROM webhook_deliveries WHERE status <> 'retrying' OR next_retry_at > %s"
    with ExitStack() as stack:
        for number in range(1, 4):
            receiver = stack.enter_context(WebhookReceiver(host=f"127.0.0.{number}"))
            add(database, f"{receiver.url}/hook")
        result = deliver(database, stopping=lambda: database.query(taken, NOW) != [])

    assert (result.processed, result.complete) == (1, False)


def test_a_row_that_another_worker_is_taking_is_left_to_it(database: TestDatabase) -> None:
    with WebhookReceiver() as receiver, database.connect() as other, other.transaction():
        held = add(database, f"{receiver.url}/held", next_retry_at=NOW - DAY)
        add(database, f"{receiver.url}/hook")
        other.execute("SELECT FROM webhook_deliveries WHERE id = %s FOR UPDATE", (held,))
        result = deliver(database)

    assert [request.path for request in receiver.received] == ["/hook"]
    assert (result.processed, result.failed, result.complete) == (1, 0, True)


def test_an_outcome_after_its_lease_overwrites_nothing(database: TestDatabase) -> None:
    changes = {
        "/slow?taken": "next_retry_at = next_retry_at + interval '1 second'",
        "/slow?counted": "attempt_count = attempt_count + 1",
        "/slow?ended": "status = 'failed'",
    }
    with ExitStack() as stack:
        rows = {}
        receivers = []
        for number, path in enumerate(changes, start=1):
            receivers.append(stack.enter_context(WebhookReceiver(host=f"127.0.0.{number}")))
            rows[path] = add(database, receivers[-1].url + path)

        def another_worker() -> dict[UUID, DictRow]:
            poll_until(lambda: all(receiver.received for receiver in receivers), PATIENCE, 0.01)
            for path, change in changes.items():
                database.query(f"UPDATE webhook_deliveries SET {change} WHERE id = %s", rows[path])
            return states(database)

        with ThreadPoolExecutor() as pool:
            changed = pool.submit(another_worker)
            result = deliver(database)

    assert states(database) == changed.result()
    assert database.query("SELECT id FROM webhook_delivery_attempts") == []
    assert database.query("SELECT id FROM webhook_webhooks WHERE total_deliveries > 0") == []
    assert (result.processed, result.details["dropped"]) == (0, len(changes))


INSERTED = "INSERT ON webhook_delivery_attempts"


@pytest.mark.parametrize(
    ("event", "column", "path", "sent", "reason", "rest"),
    [
        (INSERTED, "delivery_id", "/well", 3, "delivered, but not recorded: ", 36_500 * DAY),
        (INSERTED, "delivery_id", "/status/500", 3, "not recorded: ", DAY),
        ("UPDATE ON webhook_deliveries", "id", "/well", 2, "not taken: ", 10 * MINUTE),
    ],
)
def test_one_bad_row_does_not_stop_the_others(
    database: TestDatabase,
    event: str,
    column: str,
    path: str,
    sent: int,
    reason: str,
    rest: timedelta,
) -> None:
    with WebhookReceiver() as receiver:
        rows = [add(database, f"{receiver.url}{place}") for place in ("/0", path, "/2")]
        database.query(refusal(event, f"NEW.{column} = '{rows[1]}'"))
        result = deliver(database)
        again = deliver(database)

    assert len(receiver.received) == sent
    assert [delivery(database, row)["status"] for row in rows] == ["success", "retrying", "success"]
    assert (result.processed, result.failed) == (2, 1)
    assert "RaiseException: refused" in result.note
    assert (again.processed, again.failed) == (0, 0)
    [aside] = failed_rows(database)
    assert (aside["scheduler"], aside["row_id"]) == ("webhook-delivery", rows[1])
    assert aside["reason"] == f"{reason}RaiseException: refused"
    assert aside["retry_at"] - aside["failed_at"] == rest


def test_a_dry_run_shows_what_is_due_and_sends_nothing(database: TestDatabase) -> None:
    with WebhookReceiver() as receiver:
        due = add(database, f"{receiver.url}/hook", attempt_count=2)
        add(database, f"{receiver.url}/later", next_retry_at=NOW + HOUR)
        before = states(database)
        shown = preview(database, SCHEDULER, **OPEN)

    assert shown.count == 1
    assert [row["id"] for row in shown.rows] == [due]
    assert "http" not in str(shown.rows)
    assert states(database) == before
    assert receiver.connections == 0


def test_a_secret_is_found_nowhere_but_in_its_own_row(database: TestDatabase) -> None:
    secret = "whsec_UGw0bnRlZC9TZWNyZXQr/w=="
    password = "Pl4nted-Passw0rd"
    with WebhookReceiver(secret=secret) as receiver:
        add(database, add_webhook(database, f"{receiver.url}/echo", secret=secret))
        add(
            database,
            add_webhook(
                database, f"http://user:{password}@127.0.0.1:{receiver.port}/", secret=secret
            ),
        )
        add(database, add_webhook(database, f"{receiver.url}/?key={secret}", secret=secret))
        with Process("workers.webhook", env=worker(database, LOG_LEVEL="debug")) as process:
            process.wait_for("pass_finished", scheduler="webhook-delivery", processed=3)
            process.stop()

    assert [request.verified for request in receiver.received] == [True, True]
    tables = ("webhook_deliveries", "webhook_delivery_attempts", "toast_runs", "toast_outbox")
    rows = [str(database.query(f"SELECT * FROM {table}")) for table in tables]
    signatures = {
        request.headers[name].removeprefix("v1,")
        for request in receiver.received
        for name in ("x-webhook-signature", "webhook-signature")
    }
    [echoed] = database.query(
        "SELECT * FROM webhook_delivery_attempts WHERE request_url LIKE '%%/echo'"
    )
    assert json.loads(echoed["request_headers"])["X-Webhook-Signature"] == "***"
    assert json.loads(echoed["response_headers"])["X-Key"] == "***"
    assert json.loads(echoed["response_body"])["key"] == "***"
    for text in (process.log, *rows):
        for planted in (secret, secret.replace("/", "%2F"), password, *signatures):
            assert planted not in text


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
    assert SERVICE.schedulers[-1] is SCHEDULER
