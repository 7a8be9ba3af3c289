"""webhook-delivery in worker processes: several at once, killed, stopped, and what they log."""

from __future__ import annotations

import base64
import json
import signal
from datetime import UTC, datetime, timedelta
from urllib.parse import quote

from devservers.child_processes import PATIENCE, poll_until
from devservers.standins.webhook_receiver import WebhookReceiver
from testing.database import TestDatabase
from testing.passes import HOUR, NOW
from testing.processes import Process, environment, toast
from tests.workers.webhook.deliveries import (
    OPEN,
    SECRET,
    add,
    add_webhook,
    attempt,
    delivery,
    received,
    states,
    statuses,
)
from workers.webhook.delivery_pass import LEASE_MARGIN

SECOND = timedelta(seconds=1)


def worker(database: TestDatabase, **settings: str) -> dict[str, str]:
    """The environment of a webhook worker that does nothing but deliver."""
    only = {
        "WEBHOOK_RETRY_SCHEDULER_ENABLED": "false",
        "WEBHOOK_CLEANUP_ENABLED": "false",
        "WEBHOOK_DELIVERY_ENABLED": "true",
        "LOG_FORMAT": "json",
    }
    return environment(database, **{**OPEN, **only, **settings})


def test_two_workers_at_once_send_everything_once(
    database: TestDatabase, receivers: list[WebhookReceiver]
) -> None:
    ids = []
    for receiver in receivers[:2]:
        receiver.secret = SECRET
        ids += [add(database, f"{receiver.url}/slow?{number}") for number in range(8)]
    commands = [Process("workers.webhook", env=worker(database)) for _ in range(2)]
    with commands[0], commands[1]:
        for command in commands:
            command.wait_for("pass_finished", scheduler="webhook-delivery")
        assert [command.stop() for command in commands] == [0, 0]

    assert received(receivers[0]) + received(receivers[1]) == dict.fromkeys(ids, 1)
    assert all(request.verified for receiver in receivers for request in receiver.received)
    assert statuses(database) == dict.fromkeys(ids, "success")
    assert all(attempt(database, row) for row in ids)
    finished = [
        record
        for command in commands
        for record in command.records("pass_finished", scheduler="webhook-delivery")
    ]
    assert sum(record["delivered"] for record in finished) == len(ids)


def test_a_delivery_is_sent_when_its_retry_is_due_and_not_at_the_next_tick(
    database: TestDatabase, receiver: WebhookReceiver
) -> None:
    row = add(database, f"{receiver.url}/", next_retry_at=datetime.now(UTC) + 3 * SECOND)
    with Process("workers.webhook", env=worker(database, WEBHOOK_DELIVERY_INTERVAL="1h")) as sender:
        sender.wait_for("pass_finished", scheduler="webhook-delivery", delivered=1)
        assert sender.stop() == 0
    assert statuses(database) == {row: "success"}


def test_a_worker_that_is_killed_gives_its_rows_back_after_their_lease(
    database: TestDatabase, receiver: WebhookReceiver
) -> None:
    lease = timedelta(seconds=30) + LEASE_MARGIN
    row = add(database, f"{receiver.url}/stall", attempt_count=1)
    with Process("workers.webhook", env=worker(database)) as killed:
        assert poll_until(lambda: len(receiver.received) == 1, PATIENCE)
        killed.kill()
    taken = delivery(database, row)
    assert (taken["status"], taken["attempt_count"]) == ("retrying", 1)
    left = taken["next_retry_at"] - datetime.now(UTC)
    assert lease - LEASE_MARGIN - SECOND * PATIENCE < left <= lease
    receiver.answers["/stall"] = "/"
    command = ("once", "webhook", "webhook-delivery")

    assert toast(*command, env=worker(database)).code == 0
    assert len(receiver.received) == 1

    database.query("UPDATE webhook_deliveries SET next_retry_at = next_retry_at - %s", lease)
    assert toast(*command, env=worker(database)).code == 0

    assert received(receiver) == {row: 2}
    assert [request.headers["x-webhook-attempt"] for request in receiver.received] == ["2", "2"]
    after = delivery(database, row)
    assert (after["status"], after["attempt_count"]) == ("success", 2)
    assert attempt(database, row)["attempt_number"] == 2


def test_a_stop_waits_a_little_for_receivers_and_takes_nothing_more(
    database: TestDatabase, receiver: WebhookReceiver
) -> None:
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
    assert (after[stalled]["status"], after[stalled]["attempt_count"]) == ("retrying", 0)
    assert after[stalled]["next_retry_at"] > datetime.now(UTC)
    assert {row: after[row] for row in untouched} == {row: before[row] for row in untouched}


def test_a_secret_is_found_nowhere_but_in_its_own_row(
    database: TestDatabase, receiver: WebhookReceiver
) -> None:
    secret = receiver.secret = "whsec_UGw0bnRlZC9TZWNyZXQr/w=="
    password = "Pl4nted/Pässw0rd"
    login = base64.b64encode(f"user:{password}".encode()).decode()
    for url in (
        f"{receiver.url}/echo",
        f"http://user:{quote(password, safe='')}@127.0.0.1:{receiver.port}/echo/login",
        f"{receiver.url}/?key={secret}",
    ):
        add(database, add_webhook(database, url, secret=secret))
    with Process("workers.webhook", env=worker(database, LOG_LEVEL="debug")) as process:
        process.wait_for("pass_finished", scheduler="webhook-delivery", processed=3)
        process.stop()

    assert [request.verified for request in receiver.received] == [True, True, True]
    logins = [request.headers.get("authorization") for request in receiver.received]
    assert sorted(map(str, logins)) == [f"Basic {login}", "None", "None"]
    [logged_in] = database.query(
        "SELECT * FROM webhook_delivery_attempts WHERE request_url LIKE '%%/echo/login'"
    )
    assert logged_in["request_url"] == f"{receiver.url}/echo/login"
    assert json.loads(logged_in["request_headers"])["Authorization"] == "***"
    [echoed] = database.query(
        "SELECT * FROM webhook_delivery_attempts WHERE request_url LIKE '%%/echo'"
    )
    assert json.loads(echoed["request_headers"])["X-Webhook-Signature"] == "***"
    assert json.loads(echoed["response_headers"])["X-Key"] == "***"
    assert json.loads(echoed["response_body"])["key"] == "***"
    signatures = {
        request.headers[name].removeprefix("v1,")
        for request in receiver.received
        for name in ("x-webhook-signature", "webhook-signature")
    }
    tables = ("webhook_deliveries", "webhook_delivery_attempts", "toast_runs", "toast_outbox")
    texts = [str(database.query(f"SELECT * FROM {table}")) for table in tables]
    for text in (process.log, *texts):
        for planted in (secret, secret.replace("/", "%2F"), "ssw0rd", login, *signatures):
            assert planted not in text
