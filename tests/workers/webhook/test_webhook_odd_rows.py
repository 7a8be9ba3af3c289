"""webhook-delivery and webhook-retry: with any odd value in one row, the others are done once."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from typing import Any
from uuid import UUID

import psycopg
import pytest
from psycopg.rows import DictRow

from common.errors import PassError
from common.scheduling.scheduler import PassResult
from devservers.postgres import PostgresServer
from devservers.standins.webhook_receiver import WebhookReceiver
from testing.database import TestDatabase
from testing.passes import DAY, HOUR, MINUTE, NOW, failed_rows, preview, run_pass
from tests.support.odd_values import (
    CLAIMED,
    FLAGS,
    LATE,
    NEVER,
    NUMBERS,
    TEXTS,
    TIMES,
    encoded_database,
    make_odd,
)
from tests.support.row_faults import refusal
from workers.webhook import delivery_rows, webhook_retry
from workers.webhook.http_delivery import delivery_client
from workers.webhook.http_delivery.delivery_client import ReceiverReply
from workers.webhook.webhook_delivery import SCHEDULER

OPEN = {"WEBHOOK_ALLOW_PRIVATE_CIDRS": "127.0.0.0/8"}
SECRET = "Pl4nted-Secret-0f-the-w3bhook"

DELIVERIES: dict[str, tuple[str | None, ...]] = {
    "attempt_count": NUMBERS,
    "next_retry_at": TIMES,
    "last_attempt_at": TIMES,
    "completed_at": TIMES,
    "last_error": TEXTS,
    "created_at": TIMES,
    "updated_at": TIMES,
    "deleted_at": TIMES,
}
WEBHOOKS: dict[str, tuple[str | None, ...]] = {
    "event_types": TEXTS,
    "description": TEXTS,
    "active": FLAGS,
    "created_at": TIMES,
    "updated_at": TIMES,
    "deleted_at": TIMES,
    "total_deliveries": NUMBERS,
    "success_deliveries": NUMBERS,
    "failed_deliveries": NUMBERS,
    "last_delivery_at": TIMES,
    "last_success_at": TIMES,
    "last_failure_at": TIMES,
}


def is_due(column: str, value: str | None) -> bool:
    """Whether the live pool would take a delivery because of, or in spite of, this value."""
    if column == "next_retry_at":
        return value not in (None, NEVER, LATE)
    return column != "deleted_at" or value is None


def add_webhook(database: TestDatabase, url: str, **columns: object) -> UUID:
    row = database.insert("webhook_webhooks", url=url, secret=SECRET, active=True, **columns)
    return UUID(str(row["id"]))


def add(database: TestDatabase, url: str, **columns: object) -> UUID:
    """A delivery that is due, to a webhook of its own."""
    given = {"status": "retrying", "next_retry_at": NOW - HOUR, **columns}
    webhook = given.pop("webhook_id", None) or add_webhook(database, url)
    return UUID(str(database.insert("webhook_deliveries", webhook_id=webhook, **given)["id"]))


def deliver(database: TestDatabase, **details: Any) -> PassResult:
    return run_pass(database, SCHEDULER, **{**OPEN, **details})


def delivery(database: TestDatabase, row: UUID) -> DictRow:
    with database.session() as session:
        found = session.execute("SELECT * FROM webhook_deliveries WHERE id = %s", (row,))
        return found.fetchall()[0]


def received(receiver: WebhookReceiver) -> Counter[UUID]:
    """How often each delivery has come in."""
    return Counter(UUID(request.headers["webhook-id"]) for request in receiver.received)


@pytest.mark.parametrize("column", DELIVERIES)
def test_an_odd_delivery_beside_healthy_ones(database: TestDatabase, column: str) -> None:
    with WebhookReceiver() as receiver:
        due = [add(database, f"{receiver.url}/first")]
        rests: list[UUID] = []
        for number, value in enumerate(DELIVERIES[column]):
            row = add(database, f"{receiver.url}/odd/{number}")
            make_odd(database, "webhook_deliveries", column, row, value)
            (due if is_due(column, value) else rests).append(row)
        due.append(add(database, f"{receiver.url}/last"))
        shown = preview(database, SCHEDULER, **OPEN)
        result = deliver(database)
        again = deliver(database)

    assert shown.count == result.processed == len(due)
    assert received(receiver) == dict.fromkeys(due, 1)
    assert {delivery(database, row)["status"] for row in due} == {"success"}
    assert {delivery(database, row)["status"] for row in rests} <= {"retrying"}
    assert (result.failed, again.counts["processed"], failed_rows(database)) == (0, 0, [])


@pytest.mark.parametrize("column", WEBHOOKS)
def test_an_odd_webhook_beside_healthy_ones(database: TestDatabase, column: str) -> None:
    with WebhookReceiver() as receiver:
        due, unwanted = [add(database, f"{receiver.url}/first")], list[UUID]()
        for number, value in enumerate(WEBHOOKS[column]):
            webhook = add_webhook(database, f"{receiver.url}/odd/{number}")
            make_odd(database, "webhook_webhooks", column, webhook, value)
            row = add(database, "", webhook_id=webhook)
            (due if is_due(column, value) and column != "active" else unwanted).append(row)
        due.append(add(database, f"{receiver.url}/last"))
        shown = preview(database, SCHEDULER, **OPEN)
        result = deliver(database)
        again = deliver(database)

    assert shown.count == result.processed == len(due) + len(unwanted)
    assert received(receiver) == dict.fromkeys(due, 1)
    assert {delivery(database, row)["status"] for row in due} == {"success"}
    for row in unwanted:
        assert delivery(database, row)["last_error"] == "Webhook is no longer active"
    assert (result.failed, again.counts["processed"], failed_rows(database)) == (0, 0, [])


def test_null_attempts_and_counters_are_0_and_full_ones_stay_full(database: TestDatabase) -> None:
    most, least = 2**63 - 1, -(2**63)
    counted: dict[str | None, tuple[int, int]] = {
        None: (1, 1),
        str(most): (most, most),
        str(least): (least + 1, least + 1),
    }
    with WebhookReceiver() as receiver:
        rows = {}
        for number, value in enumerate(counted):
            path = ("well", "status/500")[number % 2]
            webhook = add_webhook(database, f"{receiver.url}/{path}?{number}")
            rows[value] = add(database, "", webhook_id=webhook)
            make_odd(database, "webhook_deliveries", "attempt_count", rows[value], value)
            for name in ("total", "success", "failed"):
                make_odd(database, "webhook_webhooks", f"{name}_deliveries", webhook, value)
        deliver(database)

    for value, row in rows.items():
        after = delivery(database, row)
        [attempted] = database.query(
            "SELECT attempt_number FROM webhook_delivery_attempts WHERE delivery_id = %s", row
        )
        [webhook_row] = database.query(
            "SELECT total_deliveries FROM webhook_webhooks WHERE id = %s", after["webhook_id"]
        )
        assert after["attempt_count"] == attempted["attempt_number"] == counted[value][0]
        assert webhook_row["total_deliveries"] == counted[value][1]


@pytest.mark.parametrize("column", ["url", "secret", "event_payload", "event_type"])
def test_an_odd_text_beside_healthy_ones(database: TestDatabase, column: str) -> None:
    texts = ("", " ", "\x01\x7f\u202e", "\N{BREAD}" * 100, "whsec_", "http://[", "a\r\nb: c")
    with WebhookReceiver() as receiver:
        healthy = [add(database, f"{receiver.url}/first")]
        for number, text in enumerate(texts):
            odd = add(database, f"{receiver.url}/odd/{number}")
            table = "webhook_deliveries" if column.startswith("event") else "webhook_webhooks"
            row = odd if table == "webhook_deliveries" else delivery(database, odd)["webhook_id"]
            database.query(f"UPDATE {table} SET {column} = %s WHERE id = %s", text, row)
        healthy.append(add(database, f"{receiver.url}/last"))
        result = deliver(database)
        again = deliver(database)

    assert {row: received(receiver)[row] for row in healthy} == dict.fromkeys(healthy, 1)
    assert (result.processed, result.failed) == (len(texts) + 2, 0)
    assert (again.processed, again.failed) == (0, 0)


@pytest.mark.parametrize("sqlstate", CLAIMED)
@pytest.mark.parametrize(
    ("event", "table", "column", "why"),
    [
        ("UPDATE", "webhook_deliveries", "id", "not taken"),
        ("INSERT", "webhook_delivery_attempts", "delivery_id", "delivered, but not recorded"),
        ("UPDATE", "webhook_webhooks", "id", "delivered, but not recorded"),
    ],
)
def test_a_trigger_may_raise_any_error(
    database: TestDatabase, event: str, table: str, column: str, why: str, sqlstate: str
) -> None:
    with WebhookReceiver() as receiver:
        rows = [add(database, f"{receiver.url}/{number}") for number in range(3)]
        bad = delivery(database, rows[1])["webhook_id"] if table == "webhook_webhooks" else rows[1]
        when = f"NEW.{column} = '{bad}'"
        database.query(refusal(f"{event} ON {table}", when, sqlstate=sqlstate))
        result = deliver(database)
        later = deliver(database, now=NOW + 9 * MINUTE)

    assert (result.processed, result.failed, later.processed, later.failed) == (2, 1, 0, 0)
    assert [received(receiver)[row] for row in rows] == [1, int(why != "not taken"), 1]
    [aside] = failed_rows(database)
    assert aside["row_id"] == rows[1]
    assert aside["reason"].startswith(f"{why}: ")
    assert aside["reason"].endswith(": refused")


KEEP = """
CREATE FUNCTION keep() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN {kept}; END $$;
CREATE TRIGGER keep BEFORE UPDATE ON webhook_deliveries FOR EACH ROW
    WHEN (NEW.id = '{row}' AND {when}) EXECUTE FUNCTION keep()"""


@pytest.mark.parametrize("kept", ["OLD", "NULL"])
@pytest.mark.parametrize(
    ("when", "path", "sent", "why"),
    [
        ("true", "well", 0, "not taken"),
        ("NEW.status <> 'retrying'", "well", 1, "delivered, but not recorded"),
        ("NEW.status <> 'retrying'", "status/500", 1, "not recorded"),
        ("NEW.attempt_count > 0", "status/429?retry_after=60", 1, "not recorded"),
    ],
)
def test_a_row_that_a_trigger_keeps_as_it_is_is_not_sent_again_and_again(
    database: TestDatabase, kept: str, when: str, path: str, sent: int, why: str
) -> None:
    with WebhookReceiver() as receiver:
        rows = [add(database, f"{receiver.url}/{place}") for place in ("a", path, "c")]
        database.query(KEEP.format(kept=kept, row=rows[1], when=when))
        result = deliver(database)
        later = deliver(database, now=NOW + 9 * MINUTE)

    assert (result.processed, result.failed, later.processed, later.failed) == (2, 1, 0, 0)
    assert [received(receiver)[row] for row in rows] == [1, sent, 1]
    assert (
        failed_rows(database)[0]["reason"]
        == f"{why}: NotRecorded: a trigger or rule keeps it as it is"
    )


def test_an_error_in_our_code_affects_its_delivery_only(
    database: TestDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    post = delivery_client.DeliveryClient.post

    def fails_for_one(client: Any, url: str, *rest: Any) -> ReceiverReply:
        if url.endswith("/1"):
            raise ArithmeticError(f"no good: {SECRET}")
        return post(client, url, *rest)

    monkeypatch.setattr(delivery_client.DeliveryClient, "post", fails_for_one)
    with WebhookReceiver() as receiver:
        rows = [add(database, f"{receiver.url}/{number}") for number in range(3)]
        result = deliver(database)
        later = deliver(database, now=NOW + 23 * HOUR)

    assert (result.processed, result.failed, later.processed, later.failed) == (2, 1, 0, 0)
    assert received(receiver) == {rows[0]: 1, rows[2]: 1}
    assert result.note == f"webhook_deliveries {rows[1]}: not sent: ArithmeticError: no good: ***"
    [aside] = failed_rows(database)
    assert timedelta() <= aside["retry_at"] - NOW - DAY < MINUTE


def test_an_outcome_whose_row_is_locked_is_tried_again(
    database: TestDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    record = delivery_rows.DeliveryRows.record
    tried = []

    def locked_at_first(*arguments: Any) -> bool:
        tried.append(arguments)
        if len(tried) == 1:
            raise psycopg.errors.LockNotAvailable
        return record(*arguments)

    monkeypatch.setattr(delivery_rows.DeliveryRows, "record", locked_at_first)
    with WebhookReceiver() as receiver:
        add(database, f"{receiver.url}/hook")
        result = deliver(database)

    assert (len(tried), result.processed, result.failed) == (2, 1, 0)


def test_what_is_set_aside_is_tried_at_growing_distance_and_forgotten_when_it_is_done(
    database: TestDatabase,
) -> None:
    with WebhookReceiver() as receiver:
        row = add(database, f"{receiver.url}/hook")
        database.query(refusal("UPDATE ON webhook_deliveries", f"NEW.id = '{row}'"))
        passed, rests = timedelta(), []
        for _ in range(3):
            assert deliver(database, now=NOW + passed).failed == 1
            [aside] = failed_rows(database)
            rests.append(aside["retry_at"] - aside["failed_at"])
            passed = aside["retry_at"] - NOW
            assert deliver(database, now=NOW + passed - MINUTE).failed == 0
        database.query("DROP TRIGGER refuse ON webhook_deliveries")
        assert deliver(database, now=NOW + passed).processed == 1

    assert rests == [10 * MINUTE, 20 * MINUTE, 40 * MINUTE]
    assert failed_rows(database) == []


def test_what_cannot_be_given_up_keeps_nothing_from_being_sent(database: TestDatabase) -> None:
    gone = add_webhook(database, "http://gone.example", deleted_at=NOW - DAY)
    for _ in range(100):
        add(database, "", webhook_id=gone)
    when = f"NEW.webhook_id = '{gone}'"
    database.query(refusal("UPDATE ON webhook_deliveries", when, sqlstate="42501"))
    with WebhookReceiver() as receiver:
        row = add(database, f"{receiver.url}/hook")
        with pytest.raises(PassError, match="none of 100 rows could be changed"):
            deliver(database)

    assert received(receiver) == {row: 1}
    assert delivery(database, row)["status"] == "success"
    assert len(failed_rows(database)) == 100


# --- other encodings --------------------------------------------------------------------------

ADD_WEBHOOK = """
INSERT INTO webhook_webhooks (url, secret, event_types, description, active, last_delivery_at,
    last_success_at, last_failure_at, created_at, updated_at)
VALUES (%s, %s, '', '', true, now(), now(), now(), now(), now()) RETURNING id"""
ADD_DELIVERY = """
INSERT INTO webhook_deliveries (webhook_id, event_id, event_type, event_payload, status,
    attempt_count, next_retry_at, last_error, created_at, updated_at)
VALUES (%s, '', 'link.expired', %s, 'retrying', 0, %s, '', now(), now()) RETURNING id"""


def add_encoded(database: TestDatabase, url: str, secret: str = SECRET, body: str = "{}") -> UUID:
    with database.session() as session:
        [webhook] = session.execute(ADD_WEBHOOK, (url, secret))
        [row] = session.execute(ADD_DELIVERY, (webhook["id"], body, NOW - HOUR))
        return UUID(str(row["id"]))


@pytest.mark.parametrize("encoding", ["LATIN1", "SQL_ASCII"])
def test_an_answer_that_the_database_cannot_hold_is_recorded_all_the_same(
    postgres_server: PostgresServer, encoding: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = {
        "/emoji": ReceiverReply(200, {"X-Mood": "\N{BREAD} é"}, "\N{BREAD} é \0"),
        "/error": ReceiverReply(error="the connection failed: \N{BREAD} é \ud83d"),
        "/plain": ReceiverReply(200, body="well"),
    }
    monkeypatch.setattr(
        delivery_client.DeliveryClient, "post", lambda client, url, *rest: answers[url[-6:]]
    )
    with encoded_database(postgres_server, encoding) as database:
        rows = {
            path: add_encoded(database, f"http://r.example{path}", body="é") for path in answers
        }
        shown = preview(database, SCHEDULER)
        result = deliver(database)
        again = deliver(database)
        statuses = {path: delivery(database, row)["status"] for path, row in rows.items()}
        with database.session() as session:
            found = session.execute("SELECT * FROM webhook_delivery_attempts").fetchall()

    assert (shown.count, result.processed, result.failed, again.processed) == (3, 3, 0, 0)
    assert statuses == {"/emoji": "success", "/error": "failed", "/plain": "success"}
    kept = {row["request_url"][-6:]: row for row in found}
    bread, nul = ("\\U0001f35e", "\\ufffd") if encoding == "LATIN1" else ("\N{BREAD}", "\ufffd")
    assert kept["/emoji"]["response_body"] == f"{bread} é {nul}"
    assert kept["/emoji"]["request_body"] == "é"
    assert kept["/error"]["error"] == f"the connection failed: {bread} é \\ud83d"


def test_bytes_that_are_no_text_affect_their_delivery_only(postgres_server: PostgresServer) -> None:
    changes = {
        "webhook_deliveries": ("event_payload", "event_type", "last_error"),
        "webhook_webhooks": ("url", "secret", "description"),
    }
    with encoded_database(postgres_server, "SQL_ASCII") as database, WebhookReceiver() as receiver:
        healthy = [add_encoded(database, f"{receiver.url}/first")]
        odd = []
        for table, columns in changes.items():
            for column in columns:
                row = add_encoded(database, f"{receiver.url}/{column}")
                odd.append(row)
                after = delivery(database, row)
                target = row if table == "webhook_deliveries" else after["webhook_id"]
                tail = "repeat('x', 450) || " if column == "url" else ""
                database.query(
                    f"UPDATE {table} SET {column} = {column} || {tail}"
                    " convert_from('\\xfffeff'::bytea, 'SQL_ASCII') WHERE id = %s",
                    target,
                )
        healthy.append(add_encoded(database, f"{receiver.url}/last"))
        shown = preview(database, SCHEDULER, **OPEN)
        result = deliver(database)
        again = deliver(database)
        statuses = {delivery(database, row)["status"] for row in healthy}

    assert shown.count == len(healthy) + len(odd)
    assert statuses == {"success"}
    assert (result.processed, result.failed) == (len(healthy) + len(odd), 0)
    assert set(received(receiver).values()) == {1}
    assert (again.processed, again.failed) == (0, 0)


def test_a_url_that_postgresql_cannot_send_stops_no_other(postgres_server: PostgresServer) -> None:
    # 0x81 is no character of WIN1252, and PostgreSQL does not mind as long as nothing converts it.
    spoil = (
        "UPDATE webhook_webhooks SET url = 'http://' || convert_from('\\x81', 'WIN1252')"
        " WHERE id = %s"
    )
    with encoded_database(postgres_server, "WIN1252") as database, WebhookReceiver() as receiver:
        rows = [add_encoded(database, f"{receiver.url}/{number}") for number in range(3)]
        webhook = delivery(database, rows[1])["webhook_id"]
        database.query(spoil, webhook)
        result = deliver(database)
        again = deliver(database)
        [aside] = failed_rows(database)

    assert (result.processed, result.failed, again.processed, again.failed) == (2, 1, 0, 0)
    assert received(receiver) == {rows[0]: 1, rows[2]: 1}
    assert aside["row_id"] == rows[1]
    assert aside["reason"].startswith("not taken: UntranslatableCharacter: ")


# --- webhook-retry ----------------------------------------------------------------------------


@pytest.mark.parametrize("column", DELIVERIES)
def test_an_odd_failed_delivery_beside_healthy_ones(database: TestDatabase, column: str) -> None:
    due: list[UUID] = [add(database, "http://a.example", status="failed")]
    rests: list[UUID] = []
    for number, value in enumerate(DELIVERIES[column]):
        row = add(database, f"http://{number}.example", status="failed")
        make_odd(database, "webhook_deliveries", column, row, value)
        exhausted = column == "attempt_count" and value == NUMBERS[1]
        gone = column == "deleted_at" and value is not None
        (rests if exhausted or gone else due).append(row)
    due.append(add(database, "http://b.example", status="failed"))

    shown = preview(database, webhook_retry.SCHEDULER)
    result = run_pass(database, webhook_retry.SCHEDULER)

    assert (shown.count, result.processed, result.failed) == (len(due), len(due), 0)
    for row in due:
        after = delivery(database, row)
        assert (after["status"], after["next_retry_at"]) == ("retrying", NOW + MINUTE)
    assert {delivery(database, row)["status"] for row in rests} <= {"failed"}
