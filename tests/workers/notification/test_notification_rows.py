"""notification-retry: with any odd value in one row, the others are sent and recorded."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import psycopg
import pytest
from psycopg.rows import DictRow

from common.scheduling.scheduler import PassResult
from devservers.postgres import PostgresServer
from devservers.standins.discord import DiscordServer
from devservers.standins.discord_answers import UNKNOWN_WEBHOOK, Reply
from testing.database import TestDatabase
from testing.passes import NOW
from tests.support.odd_values import encoded_database
from tests.workers.notification.notifications import (
    CHANNELS,
    INTERVAL,
    NOTIFICATIONS,
    TOKEN,
    Retry,
    details,
    quick_server,
)
from workers.notification import attempt_records, due_notifications
from workers.notification.discord import embed
from workers.notification.discord.client import Discord

LEAST, MOST = -(2**63), 2**63 - 1

# What the live tables allow to be NULL.
NULLABLE = {
    NOTIFICATIONS: (
        *("discord_message_id", "attempt_count", "last_error", "sent_at"),
        *("created_at", "updated_at", "deleted_at"),
    ),
    CHANNELS: (
        *("event_types", "color", "active", "description", "created_at", "updated_at"),
        *("deleted_at", "total_notifications", "success_notifications", "failed_notifications"),
        *("last_notification_at", "last_success_at", "last_failure_at"),
    ),
}
# The first are no times of Python's, the others unusual ones.
ODD_TIMES = (
    *("-infinity", "infinity", "4713-01-01 BC", "0044-03-15 BC", "10001-01-01", "294276-12-31"),
    *("0001-01-01", "9999-12-31 23:59:59.999999"),
)
NO_TIMES = (None, *ODD_TIMES[:7])
TIMES = ("created_at", "updated_at", "sent_at")
CHANNEL_TIMES = ("created_at", "updated_at", "last_notification_at", "last_success_at")
COUNTERS = ("total_notifications", "success_notifications", "failed_notifications")

ODD_NOTIFICATIONS: list[tuple[str, object]] = [
    *((column, None) for column in NULLABLE[NOTIFICATIONS]),
    *((column, time) for column in TIMES for time in ODD_TIMES),
    *(("attempt_count", number) for number in (0, -1, -40_000, LEAST)),
    *(("event_id", text) for text in ("", " ", "\x7f\u202e", "é" * 255)),
    *(("event_type", text) for text in ("", ".", "💥" * 255)),
    *(("event_payload", text) for text in ("{}", '{"data": {"\\ud800": "\\u0000"}}')),
    *(("last_error", text) for text in ("", "x" * 100_000)),
]
ODD_CHANNELS: list[tuple[str, object]] = [
    *((column, None) for column in NULLABLE[CHANNELS] if column != "active"),
    *((column, time) for column in CHANNEL_TIMES for time in ODD_TIMES),
    *((column, number) for column in COUNTERS for number in (LEAST, -1, MOST - 1, MOST)),
    *(("color", number) for number in (LEAST, -1, 0, 0x1000000, MOST)),
    *((column, "\x01💥" * 99) for column in ("event_types", "description")),
    *(("name", text) for text in ("", "💥" * 255)),
]


class Rows(Retry):
    """An odd notification among healthy ones, of its channel and of another."""

    def __init__(self, database: TestDatabase, server: DiscordServer) -> None:
        super().__init__(database, server)
        self.odd = self.add("odd", "odd")
        self.is_odd = f"new.id = '{self.odd}'"
        self.is_odd_channel = f"new.id = '{self.channel('odd')}'"
        self.healthy = {
            "before": self.add("odd", "before", created_at=NOW - timedelta(days=9)),
            "after": self.add("odd", "after", created_at=NOW),
            "other": self.add("other", "other"),
        }

    def make_odd(self, table: str, column: str, value: object) -> None:
        one = self.odd if table == NOTIFICATIONS else self.channel("odd")
        self.database.query(f"UPDATE {table} SET {column} = %s WHERE id = %s", value, one)

    def add_trigger(self, table: str, when: str, body: str, event: str = "UPDATE") -> None:
        self.database.query(
            f"""
            CREATE FUNCTION odd() RETURNS trigger LANGUAGE plpgsql AS
                $$ BEGIN {body}; RETURN new; END $$;
            CREATE TRIGGER odd BEFORE {event} ON {table}
                FOR EACH ROW WHEN ({when}) EXECUTE FUNCTION odd()"""
        )

    def sent(self) -> Counter[str]:
        """How often each was delivered; the odd one is 'odd', with any id."""
        return Counter(event if event in self.healthy else "odd" for event in self.delivered())

    def assert_the_healthy_are_done(self) -> None:
        assert {event: self.sent()[event] for event in self.healthy} == dict.fromkeys(
            self.healthy, 1
        )
        for notification in self.healthy.values():
            self.assert_recorded(notification)

    def assert_recorded(self, notification: UUID, attempt_number: int = 2) -> None:
        after = self.row(notification)
        assert (after["status"], after["last_error"]) == ("success", "")
        assert after["attempt_count"] == attempt_number
        [made] = [each for each in self.attempts() if each["notification_id"] == notification]
        assert (made["attempt_number"], made["success"]) == (attempt_number, True)

    def assert_delivered_and_set_aside(self, reason: str) -> None:
        """The odd one is not sent again, even after most of a year."""
        self.assert_the_healthy_are_done()
        [aside] = self.failed_rows()
        assert aside["row_id"] == self.odd
        assert aside["reason"].startswith(f"delivered, but not recorded: {reason}")
        assert self.run(at=NOW + timedelta(days=300)) == PassResult()
        assert self.sent()["odd"] == 1


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[DiscordServer]:
    with quick_server(monkeypatch, 0.01) as server:
        yield server


@pytest.fixture
def rows(module_database: TestDatabase, server: DiscordServer) -> Rows:
    module_database.query(
        f"DROP FUNCTION IF EXISTS odd CASCADE; TRUNCATE {CHANNELS}, {NOTIFICATIONS}, "
        "notification_attempts, toast_failed_rows, toast_discord_channels"
    )
    return Rows(module_database, server)


@pytest.mark.parametrize(("column", "value"), ODD_NOTIFICATIONS)
def test_an_odd_notification_is_sent_like_the_others(
    rows: Rows, column: str, value: object
) -> None:
    rows.make_odd(NOTIFICATIONS, column, value)

    assert rows.preview().count == 4
    assert rows.run().details == details(delivered=4)

    rows.assert_the_healthy_are_done()
    before = value if column == "attempt_count" else 1
    rows.assert_recorded(rows.odd, (before if isinstance(before, int) else 0) + 1)
    assert rows.run(at=NOW + INTERVAL) == PassResult()
    assert rows.sent()["odd"] == 1
    assert rows.failed_rows() == []


@pytest.mark.parametrize(
    ("column", "value"),
    [("attempt_count", MOST), ("deleted_at", "infinity"), ("deleted_at", "-infinity")],
)
def test_an_odd_notification_that_is_not_due_is_left_alone(
    rows: Rows, column: str, value: object
) -> None:
    rows.make_odd(NOTIFICATIONS, column, value)
    assert rows.preview().count == 3
    assert rows.run().details == details(delivered=3)
    rows.assert_the_healthy_are_done()


@pytest.mark.parametrize(("column", "value"), ODD_CHANNELS)
def test_an_odd_channel_is_called_like_the_others(rows: Rows, column: str, value: object) -> None:
    rows.make_odd(CHANNELS, column, value)

    assert rows.preview().count == 4
    assert rows.run().details == details(delivered=4)

    rows.assert_the_healthy_are_done()
    rows.assert_recorded(rows.odd)
    found = rows.channel_row("odd")
    for counter, more in zip(COUNTERS, (3, 3, 0), strict=True):
        before = value if counter == column else 0
        assert found[counter] == min((before if isinstance(before, int) else 0) + more, MOST)
    colors = {each.embed["color"] for each in rows.requests if each.webhook == "odd"}
    assert colors == {3066993 if column == "color" else 3447003}
    assert rows.run(at=NOW + INTERVAL) == PassResult()


def test_a_channel_whose_active_is_null_is_not_active(rows: Rows) -> None:
    rows.make_odd(CHANNELS, "active", None)
    assert rows.preview().count == 1
    assert rows.run().details == details(delivered=1, skipped=3)
    assert rows.sent() == {"other": 1}


@pytest.mark.parametrize(
    "url",
    [
        "",
        "https://[::1/api/webhooks/1/odd-token",
        "https:///api/webhooks/1/odd-token",
        "http://127.0.0.1:99999/api/webhooks/1/odd-token",
        "http://127.0.0.1:port/api/webhooks/1/odd-token",
        "https://" + "a" * 300 + "/api/webhooks/1/odd-token",
        "https://a..b/api/webhooks/1/odd-token",
        "https://127.0.0.1:1 /api/webhooks/1/odd-token",
        "https://127.0.0.1%20/api/webhooks/1/odd-token",
        "https://127.0.0.1:1/api/webhooks/1/odd-token?" + "&".join("abcdefghijkl"),
    ],
)
def test_an_odd_webhook_url_stops_no_other_channel(rows: Rows, url: str) -> None:
    rows.make_odd(CHANNELS, "webhook_url", url)
    assert rows.run().details["delivered"] == 1
    rows.assert_recorded(rows.healthy["other"])
    for event in ("before", "after"):
        after = rows.row(rows.healthy[event])
        assert after["status"] == "failed"
        assert after["last_error"] != "HTTP 500"
        assert "odd-token" not in after["last_error"]


@pytest.mark.parametrize("time", NO_TIMES)
def test_the_time_of_a_notification_is_shown_unless_it_is_unknown(
    rows: Rows, time: str | None
) -> None:
    rows.make_odd(NOTIFICATIONS, "created_at", time)
    rows.run()
    shown = {request.event_id: request.embed.get("timestamp") for request in rows.requests}
    assert shown.pop("odd") is None
    for event, text in shown.items():
        assert datetime.fromisoformat(str(text)) == rows.row(rows.healthy[event])["created_at"]


def test_a_queue_of_all_kinds_of_times_is_sent_once_and_oldest_first(quick_retry: Retry) -> None:
    channel = quick_retry.channel("odd")
    # Each kind fills more than a page, so that pages end inside it.
    order: list[str | None] = [
        *("-infinity", "4713-01-01 BC", "0044-03-15 BC", "2024-02-01", "10001-01-01", "infinity")
    ]
    each = due_notifications.PAGE_ROWS + 1
    for number, time in enumerate([None, *order]):
        quick_retry.database.query(
            f"""
            INSERT INTO {NOTIFICATIONS} (channel_id, event_id, event_type, event_payload,
                discord_message_id, status, attempt_count, last_error, created_at, updated_at)
            SELECT %s, %s || '-' || n, 'link.expired', '{{}}', '', 'failed', 1, '', %s, now()
            FROM generate_series(1, {each}) AS n""",
            channel,
            str(number),
            time,
        )

    assert quick_retry.run().details["delivered"] == 7 * each

    kinds = [event.partition("-")[0] for event in quick_retry.delivered()]
    assert set(kinds[: 2 * each]) == {"0", "1"}
    assert kinds[2 * each :] == [str(number) for number in range(2, 7) for _ in range(each)]
    assert set(Counter(quick_retry.delivered()).values()) == {1}


BODIES = {
    **{
        state: f"RAISE 'refused by the house' USING ERRCODE = '{state}'"
        for state in ("P0001", "42501", "08000", "ZZ001", "57P01", "53100", "25006", "55P03")
    },
    "a cast": "PERFORM 'x'::bigint",
    "no right": "SET ROLE nobody",
}
KEEPING = {
    "skipped": "RETURN NULL",
    "put back": "new.status := 'failed'; new.attempt_count := old.attempt_count; RETURN new",
    "failed again": "new.status := 'failed'; RETURN new",
}


@pytest.mark.parametrize("table", [NOTIFICATIONS, "notification_attempts"])
@pytest.mark.parametrize("body", BODIES)
def test_a_row_that_is_refused_for_any_reason_is_sent_once_and_the_others_recorded(
    rows: Rows, table: str, body: str
) -> None:
    column, event = ("id", "UPDATE") if table == NOTIFICATIONS else ("notification_id", "INSERT")
    rows.add_trigger(table, f"new.{column} = '{rows.odd}'", BODIES[body], event)

    result = rows.run()

    assert (result.details, result.failed) == (details(delivered=3), 1)
    rows.assert_delivered_and_set_aside("")


@pytest.mark.parametrize("body", KEEPING)
def test_a_row_that_is_kept_as_it_was_is_not_sent_again(rows: Rows, body: str) -> None:
    rows.add_trigger(NOTIFICATIONS, rows.is_odd, KEEPING[body])
    assert rows.run().details == details(delivered=3)
    rows.assert_delivered_and_set_aside("a trigger or rule keeps it as it is")


def test_a_row_whose_failure_cannot_be_recorded_is_set_aside_for_a_day(rows: Rows) -> None:
    rows.server.order_always("odd", Reply(400, {"message": "no"}))
    rows.add_trigger(NOTIFICATIONS, rows.is_odd, BODIES["ZZ001"])
    for minutes, asked in ((0, 1), (60, 1), (25 * 60, 2)):
        rows.run(at=NOW + timedelta(minutes=minutes))
        assert [request.event_id for request in rows.requests].count("odd") == asked
    [aside] = rows.failed_rows()
    assert aside["reason"] == "not recorded: DatabaseError: refused by the house"


@pytest.mark.parametrize("body", BODIES)
def test_a_channel_that_cannot_be_written_stops_no_other(rows: Rows, body: str) -> None:
    rows.add_trigger(CHANNELS, rows.is_odd_channel, BODIES[body])
    for at in (NOW, NOW + timedelta(days=300)):
        rows.run(at=at)
    rows.assert_recorded(rows.healthy["other"])
    assert rows.sent() == {"odd": 1, "before": 1, "after": 1, "other": 1}
    assert len(rows.failed_rows()) == 3


def test_what_a_trigger_quotes_of_a_channel_is_hidden(
    rows: Rows, caplog: pytest.LogCaptureFixture
) -> None:
    body = "RAISE 'no % here', split_part(new.webhook_url, '/', 7)"
    rows.add_trigger(CHANNELS, rows.is_odd_channel, body)
    rows.run()
    texts = [str(vars(record)) for record in caplog.records] + [
        aside["reason"] for aside in rows.failed_rows()
    ]
    assert len([text for text in texts if "no *** here" in text]) == 6
    assert not [text for text in texts if TOKEN in text]


@pytest.mark.parametrize("value", ["HTTP 500", None])
def test_a_row_whose_reason_cannot_be_written_leaves_the_others_their_reason(
    rows: Rows, value: str | None
) -> None:
    rows.database.query(f"UPDATE {NOTIFICATIONS} SET last_error = %s", value)
    rows.add_trigger(NOTIFICATIONS, rows.is_odd, BODIES["ZZ001"])
    rows.order("odd", UNKNOWN_WEBHOOK)
    result = rows.run()
    assert result.details == details(delivered=1, unreachable=1)
    assert result.failed == 2
    waiting = rows.row(rows.healthy["after"])
    assert waiting["last_error"].startswith("not sent: this channel's webhook answered HTTP 404")
    assert [aside["row_id"] for aside in rows.failed_rows()] == [rows.odd]


@pytest.mark.usefixtures("uncaught")
@pytest.mark.parametrize(
    ("owner", "name", "reason"),
    [
        (embed, "embed", "not sent"),
        (Discord, "post", "not sent"),
        (attempt_records, "_values", "delivered, but not recorded"),
    ],
)
def test_an_error_in_our_code_affects_one_notification_only(
    rows: Rows, monkeypatch: pytest.MonkeyPatch, owner: object, name: str, reason: str
) -> None:
    function = getattr(owner, name)

    def fail(*arguments: object) -> object:
        if "very odd" in repr(arguments):
            raise OverflowError("too odd")
        return function(*arguments)

    rows.make_odd(NOTIFICATIONS, "event_id", "very odd")
    rows.make_odd(NOTIFICATIONS, "event_payload", "{}")
    monkeypatch.setattr(owner, name, fail)

    result = rows.run()

    assert (result.details, result.failed) == (details(delivered=3), 1)
    rows.assert_the_healthy_are_done()
    [aside] = rows.failed_rows()
    assert aside["reason"] == f"{reason}: OverflowError: too odd"
    rest = timedelta(days=1 if reason == "not sent" else 36_500)
    assert timedelta() <= aside["retry_at"] - (NOW + rest) < timedelta(minutes=1)


def test_what_fails_without_any_row_is_no_fault_of_a_row(
    rows: Rows, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(due_notifications, "_READ", "SELECT FROM no_such_table WHERE id = %(id)s")
    with pytest.raises(psycopg.errors.UndefinedTable):
        rows.run()
    assert rows.failed_rows() == []


class EncodedDatabase(TestDatabase):
    """One that reads texts of any bytes."""

    def connect(self, **keywords: Any) -> psycopg.Connection[DictRow]:
        return self.session()


class EncodedRows(Rows):
    """Rows in a database of another encoding."""

    encoding: str

    def run_spoiled(self, table: str, column: str) -> None:
        """Append bytes that are no text to the odd row's column, and run two passes."""
        byte = f"convert_from('\\x{BAD_BYTES[self.encoding]}'::bytea, '{self.encoding}')"
        one = self.odd if table == NOTIFICATIONS else self.channel("odd")
        self.database.query(f"UPDATE {table} SET {column} = {column} || {byte} WHERE id = %s", one)
        if self.encoding not in UNREADABLE:
            assert self.preview().count == 4
        for at in (NOW, NOW + INTERVAL):
            self.run(at=at)


# A byte that is no character in this encoding, or one that UTF-8 has none for.
BAD_BYTES = {"SQL_ASCII": "ff", "WIN1252": "81", "LATIN1": "e4", "EUC_JP": "8fa2a1"}
# Where PostgreSQL refuses to send it.
UNREADABLE = ("WIN1252", "EUC_JP")


@pytest.fixture(params=BAD_BYTES)
def encoded(
    request: pytest.FixtureRequest, postgres_server: PostgresServer, server: DiscordServer
) -> Iterator[EncodedRows]:
    with encoded_database(postgres_server, request.param) as database:
        rows = EncodedRows(EncodedDatabase(database.server, database.name), server)
        rows.encoding = request.param
        yield rows


def test_in_any_encoding_messages_are_sent_once_and_recorded(encoded: EncodedRows) -> None:
    payload = json.dumps({"id": "odd", "data": {"n": "💥 \N{SNOWMAN}"}})
    encoded.make_odd(NOTIFICATIONS, "event_payload", payload)
    encoded.order("other", Reply(500, {"message": "💥 é"}))

    assert encoded.run().details == details(delivered=3)

    encoded.assert_recorded(encoded.odd)
    other = encoded.healthy["other"]
    failed = encoded.row(other)
    assert failed["attempt_count"] == 2
    is_escaped = encoded.encoding != "SQL_ASCII"
    assert ("\\U0001f4a5" in str(failed["last_error"])) == is_escaped
    assert encoded.run(at=NOW + INTERVAL).details == details(delivered=1)
    again = encoded.row(other)
    assert (again["status"], again["attempt_count"]) == ("success", 3)
    assert encoded.sent() == {"odd": 1, "before": 1, "after": 1, "other": 1}


@pytest.mark.parametrize("column", ["name", "description", "event_types", "webhook_url"])
def test_bytes_that_are_no_text_in_a_channel_stop_no_other(
    encoded: EncodedRows, column: str
) -> None:
    encoded.run_spoiled(CHANNELS, column)
    encoded.assert_recorded(encoded.healthy["other"])
    assert max(encoded.sent().values()) == 1


@pytest.mark.parametrize("column", ["event_payload", "event_type", "event_id", "last_error"])
def test_bytes_that_are_no_text_in_a_notification_stop_no_other(
    encoded: EncodedRows, column: str
) -> None:
    encoded.run_spoiled(NOTIFICATIONS, column)
    encoded.assert_the_healthy_are_done()
    is_unreadable = encoded.encoding in UNREADABLE and column != "last_error"
    assert bool(encoded.failed_rows()) == is_unreadable
    assert encoded.sent()["odd"] <= 1
