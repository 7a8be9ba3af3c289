"""webhook-delivery and webhook-retry: with any odd value in one row, the others are done once."""

from datetime import timedelta
from typing import Any
from uuid import UUID

import psycopg
import pytest
from psycopg.rows import DictRow

from common.errors import PassError
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
    statuses,
)
from workers.webhook import delivery_rows, webhook_retry
from workers.webhook.http_delivery import delivery_client
from workers.webhook.http_delivery.delivery_client import ReceiverReply
from workers.webhook.webhook_delivery import SCHEDULER

DELIVERIES: dict[str, tuple[str | None, ...]] = {
    "attempt_count": NUMBERS,
    "last_error": TEXTS,
    **dict.fromkeys(("next_retry_at", "last_attempt_at", "completed_at"), TIMES),
    **dict.fromkeys(("created_at", "updated_at", "deleted_at"), TIMES),
}
WEBHOOKS: dict[str, tuple[str | None, ...]] = {
    "active": FLAGS,
    **dict.fromkeys(("event_types", "description"), TEXTS),
    **dict.fromkeys(("total_deliveries", "success_deliveries", "failed_deliveries"), NUMBERS),
    **dict.fromkeys(("last_delivery_at", "last_success_at", "last_failure_at"), TIMES),
    **dict.fromkeys(("created_at", "updated_at", "deleted_at"), TIMES),
}
ODD = {"webhook_deliveries": DELIVERIES, "webhook_webhooks": WEBHOOKS}


def id_in(database: TestDatabase, table: str, row: UUID) -> UUID:
    """The id by which this table knows a delivery: its own or its webhook's."""
    return row if table == "webhook_deliveries" else delivery(database, row)["webhook_id"]


def status_after(table: str, column: str, value: str | None) -> str:
    """The status that the live pool would give to a delivery with this odd value."""
    if column == "next_retry_at" and value in (None, NEVER, LATE):
        return "retrying"
    if column == "active" or (column == "deleted_at" and value is not None):
        return "retrying" if table == "webhook_deliveries" else "failed"
    return "success"


@pytest.mark.parametrize(
    ("table", "column"), [(table, column) for table, columns in ODD.items() for column in columns]
)
def test_an_odd_value_beside_healthy_ones(
    database: TestDatabase, receiver: WebhookReceiver, table: str, column: str
) -> None:
    expected = {add(database, f"{receiver.url}/first"): "success"}
    for number, value in enumerate(ODD[table][column]):
        row = add(database, f"{receiver.url}/odd/{number}")
        make_odd(database, table, column, id_in(database, table, row), value)
        expected[row] = status_after(table, column, value)
    expected[add(database, f"{receiver.url}/last")] = "success"

    shown = preview(database, SCHEDULER, **OPEN)
    result = deliver(database)
    again = deliver(database)

    assert statuses(database) == expected
    sent = [row for row, status in expected.items() if status == "success"]
    assert received(receiver) == dict.fromkeys(sent, 1)
    due = [status for status in expected.values() if status != "retrying"]
    assert shown.count == result.processed == len(due)
    assert (result.failed, again.counts["processed"], failed_rows(database)) == (0, 0, [])


MOST, LEAST = 2**63 - 1, -(2**63)


@pytest.mark.parametrize("path", ["well", "status/500"])
@pytest.mark.parametrize(
    ("value", "counted"), [(None, 1), (str(MOST), MOST), (str(LEAST), LEAST + 1)]
)
def test_null_attempts_and_counters_are_0_and_full_ones_stay_full(
    database: TestDatabase, receiver: WebhookReceiver, path: str, value: str | None, counted: int
) -> None:
    webhook = add_webhook(database, f"{receiver.url}/{path}")
    row = add(database, webhook)
    make_odd(database, "webhook_deliveries", "attempt_count", row, value)
    for name in ("total", "success", "failed"):
        make_odd(database, "webhook_webhooks", f"{name}_deliveries", webhook, value)

    deliver(database)

    assert delivery(database, row)["attempt_count"] == counted
    assert attempt(database, row)["attempt_number"] == counted
    [total] = rows(database, "SELECT total_deliveries FROM webhook_webhooks")
    assert total["total_deliveries"] == counted


ODD_TEXTS = ("", " ", "\x01\x7f\u202e", "\N{BREAD}" * 100, "whsec_", "http://[", "a\r\nb: c")


@pytest.mark.parametrize(
    ("table", "column"),
    [
        ("webhook_webhooks", "url"),
        ("webhook_webhooks", "secret"),
        ("webhook_deliveries", "event_payload"),
        ("webhook_deliveries", "event_type"),
    ],
)
def test_an_odd_text_beside_healthy_ones(
    database: TestDatabase, receiver: WebhookReceiver, table: str, column: str
) -> None:
    first = add(database, f"{receiver.url}/first")
    for number, text in enumerate(ODD_TEXTS):
        odd = id_in(database, table, add(database, f"{receiver.url}/odd/{number}"))
        database.query(f"UPDATE {table} SET {column} = %s WHERE id = %s", text, odd)
    last = add(database, f"{receiver.url}/last")

    result = deliver(database)
    again = deliver(database)

    assert (received(receiver)[first], received(receiver)[last]) == (1, 1)
    assert (result.processed, result.failed) == (len(ODD_TEXTS) + 2, 0)
    assert (again.processed, again.failed) == (0, 0)


def only_failed_row(
    database: TestDatabase,
    receiver: WebhookReceiver,
    path: str,
    spoil: str = "SELECT",
    later: timedelta = 9 * MINUTE,
) -> DictRow:
    """Deliver three, the second to ``path`` and after the SQL ``spoil``, of which alone it fails.

    Returns its row of toast_failed_rows, and how often it was ``sent`` until ``later``.
    """
    ids = [add(database, f"{receiver.url}/{place}") for place in ("before", path, "after")]
    bad = ids[1]
    database.query(spoil.format(row=bad, webhook=delivery(database, bad)["webhook_id"]))

    result = deliver(database)
    again = deliver(database, now=NOW + later)

    assert (result.processed, result.failed, again.processed, again.failed) == (2, 1, 0, 0)
    assert list(statuses(database).values()).count("success") == 2
    assert delivery(database, bad)["status"] == "retrying"
    arrived = received(receiver)
    assert (arrived[ids[0]], arrived[ids[2]]) == (1, 1)
    [aside] = failed_rows(database)
    assert (aside["scheduler"], aside["row_id"]) == ("webhook-delivery", bad)
    assert result.note == f"webhook_deliveries {bad}: {aside['reason']}"
    return {**aside, "sent": arrived[bad]}


DELIVERED = "delivered, but not recorded"
INSERTED = "INSERT ON webhook_delivery_attempts"
SENT_AGAIN_AFTER = {"not taken": 10 * MINUTE, "not recorded": DAY, DELIVERED: 36_500 * DAY}


@pytest.mark.parametrize("sqlstate", CLAIMED)
@pytest.mark.parametrize(
    ("change", "condition", "path", "why"),
    [
        ("UPDATE ON webhook_deliveries", "NEW.id = '{row}'", "well", "not taken"),
        (INSERTED, "NEW.delivery_id = '{row}'", "well", DELIVERED),
        (INSERTED, "NEW.delivery_id = '{row}'", "status/500", "not recorded"),
        ("UPDATE ON webhook_webhooks", "NEW.id = '{webhook}'", "well", DELIVERED),
    ],
)
def test_a_row_that_a_trigger_refuses_is_set_aside_alone(
    database: TestDatabase,
    receiver: WebhookReceiver,
    change: str,
    condition: str,
    path: str,
    why: str,
    sqlstate: str,
) -> None:
    spoil = refusal(change, condition, sqlstate=sqlstate)
    aside = only_failed_row(database, receiver, path, spoil)

    assert aside["reason"].startswith(f"{why}: ")
    assert aside["reason"].endswith(": refused")
    assert aside["retry_at"] - aside["failed_at"] == SENT_AGAIN_AFTER[why]
    assert aside["sent"] == (why != "not taken")


KEEP = """
CREATE FUNCTION keep() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN {kept}; END $$;
CREATE TRIGGER keep BEFORE UPDATE ON webhook_deliveries FOR EACH ROW
    WHEN (NEW.id = '{row}' AND {when}) EXECUTE FUNCTION keep()"""


@pytest.mark.parametrize("kept", ["OLD", "NULL"])
@pytest.mark.parametrize(
    ("when", "path", "why"),
    [
        ("true", "well", "not taken"),
        ("NEW.status <> 'retrying'", "well", DELIVERED),
        ("NEW.status <> 'retrying'", "status/500", "not recorded"),
        ("NEW.attempt_count > 0", "status/429?retry_after=60", "not recorded"),
    ],
)
def test_a_row_that_a_trigger_keeps_as_it_is_is_not_sent_again_and_again(
    database: TestDatabase, receiver: WebhookReceiver, kept: str, when: str, path: str, why: str
) -> None:
    spoil = KEEP.format(kept=kept, row="{row}", when=when)
    aside = only_failed_row(database, receiver, path, spoil)

    assert aside["reason"] == f"{why}: NotRecorded: a trigger or rule keeps it as it is"
    assert aside["sent"] == (why != "not taken")


@pytest.mark.usefixtures("uncaught")
def test_an_error_in_our_code_affects_its_delivery_only(
    database: TestDatabase, receiver: WebhookReceiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    post = delivery_client.DeliveryClient.post

    def fails_for_one(client: Any, url: str, *rest: Any) -> ReceiverReply:
        if url.endswith("/odd"):
            raise ArithmeticError(f"no good: {SECRET}")
        return post(client, url, *rest)

    monkeypatch.setattr(delivery_client.DeliveryClient, "post", fails_for_one)

    aside = only_failed_row(database, receiver, "odd", later=23 * HOUR)

    assert (aside["reason"], aside["sent"]) == ("not sent: ArithmeticError: no good: ***", 0)
    assert aside["retry_at"] - aside["failed_at"] == DAY


def test_an_outcome_whose_row_is_locked_is_tried_again(
    database: TestDatabase, receiver: WebhookReceiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    record = delivery_rows.DeliveryRows.record
    tried = []

    def locked_at_first(*arguments: Any) -> bool:
        tried.append(arguments)
        if len(tried) == 1:
            raise psycopg.errors.LockNotAvailable
        return record(*arguments)

    monkeypatch.setattr(delivery_rows.DeliveryRows, "record", locked_at_first)
    add(database, f"{receiver.url}/hook")

    result = deliver(database)

    assert (len(tried), result.processed, result.failed) == (2, 1, 0)


def test_what_is_set_aside_is_tried_at_growing_distance_and_forgotten_when_it_is_done(
    database: TestDatabase, receiver: WebhookReceiver
) -> None:
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


def test_what_cannot_be_given_up_keeps_nothing_from_being_sent(
    database: TestDatabase, receiver: WebhookReceiver
) -> None:
    gone = add_webhook(database, "http://gone.example", deleted_at=NOW - DAY)
    for _ in range(100):
        add(database, gone)
    when = f"NEW.webhook_id = '{gone}'"
    database.query(refusal("UPDATE ON webhook_deliveries", when, sqlstate="42501"))
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


def add_encoded(database: TestDatabase, url: str, body: str = "{}") -> UUID:
    [webhook] = rows(database, ADD_WEBHOOK, url, SECRET)
    [row] = rows(database, ADD_DELIVERY, webhook["id"], body, NOW - HOUR)
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
        ids = {path: add_encoded(database, f"http://r.example{path}", "é") for path in answers}
        shown = preview(database, SCHEDULER)
        result = deliver(database)
        again = deliver(database)
        found = statuses(database)
        kept = {path: attempt(database, row) for path, row in ids.items()}

    assert (shown.count, result.processed, result.failed, again.processed) == (3, 3, 0, 0)
    assert [found[row] for row in ids.values()] == ["success", "failed", "success"]
    bread, nul = ("\\U0001f35e", "\\ufffd") if encoding == "LATIN1" else ("\N{BREAD}", "\ufffd")
    assert kept["/emoji"]["response_body"] == f"{bread} é {nul}"
    assert kept["/emoji"]["request_body"] == "é"
    assert kept["/error"]["error"] == f"the connection failed: {bread} é \\ud83d"


def test_bytes_that_are_no_text_affect_their_delivery_only(
    postgres_server: PostgresServer, receiver: WebhookReceiver
) -> None:
    changes = {
        "webhook_deliveries": ("event_payload", "event_type", "last_error"),
        "webhook_webhooks": ("url", "secret", "description"),
    }
    spoil = (
        "UPDATE {table} SET {column} = {column} || {tail}"
        " convert_from('\\xfffeff'::bytea, 'SQL_ASCII') WHERE id = '{row}'"
    )
    with encoded_database(postgres_server, "SQL_ASCII") as database:
        first = add_encoded(database, f"{receiver.url}/first")
        for table, columns in changes.items():
            for column in columns:
                row = add_encoded(database, f"{receiver.url}/{column}")
                odd = id_in(database, table, row)
                tail = "repeat('x', 450) ||" if column == "url" else ""
                database.query(spoil.format(table=table, column=column, tail=tail, row=odd))
        last = add_encoded(database, f"{receiver.url}/last")
        shown = preview(database, SCHEDULER, **OPEN)
        result = deliver(database)
        again = deliver(database)
        found = statuses(database)

    assert (shown.count, result.processed, result.failed) == (8, 8, 0)
    assert (found[first], found[last]) == ("success", "success")
    assert set(received(receiver).values()) == {1}
    assert (again.processed, again.failed) == (0, 0)


def test_a_url_that_postgresql_cannot_send_stops_no_other(
    postgres_server: PostgresServer, receiver: WebhookReceiver
) -> None:
    # 0x81 is no character of WIN1252, and PostgreSQL does not mind as long as nothing converts it.
    spoil = (
        "UPDATE webhook_webhooks SET url = 'http://' || convert_from('\\x81', 'WIN1252')"
        " WHERE id = %s"
    )
    with encoded_database(postgres_server, "WIN1252") as database:
        ids = [add_encoded(database, f"{receiver.url}/{number}") for number in range(3)]
        database.query(spoil, delivery(database, ids[1])["webhook_id"])
        result = deliver(database)
        again = deliver(database)
        [aside] = failed_rows(database)

    assert (result.processed, result.failed, again.processed, again.failed) == (2, 1, 0, 0)
    assert received(receiver) == {ids[0]: 1, ids[2]: 1}
    assert aside["row_id"] == ids[1]
    assert aside["reason"].startswith("not taken: UntranslatableCharacter: ")


# --- webhook-retry ----------------------------------------------------------------------------


@pytest.mark.parametrize("column", DELIVERIES)
def test_an_odd_failed_delivery_beside_healthy_ones(database: TestDatabase, column: str) -> None:
    webhook = add_webhook(database, "http://hooks.example")
    expected = {add(database, webhook, status="failed"): "retrying"}
    for value in DELIVERIES[column]:
        row = add(database, webhook, status="failed")
        make_odd(database, "webhook_deliveries", column, row, value)
        exhausted = column == "attempt_count" and value == NUMBERS[1]
        gone = column == "deleted_at" and value is not None
        expected[row] = "failed" if exhausted or gone else "retrying"

    shown = preview(database, webhook_retry.SCHEDULER)
    result = run_pass(database, webhook_retry.SCHEDULER)

    assert statuses(database) == expected
    scheduled = list(expected.values()).count("retrying")
    assert (shown.count, result.processed, result.failed) == (scheduled, scheduled, 0)
    query = "SELECT DISTINCT next_retry_at FROM webhook_deliveries WHERE status = 'retrying'"
    assert [row["next_retry_at"] for row in database.query(query)] == [NOW + MINUTE]
