"""The content of a message: both shapes in one text, built by the database."""

import json
import uuid
from datetime import UTC, datetime
from typing import Any

import pytest

from common.events import envelope
from testing.database import TestDatabase

NOW = datetime(2026, 3, 4, 5, 6, 7, 89, tzinfo=UTC)

FIELDS = {"link_id": "id", "short_code": "code", "clicks": "clicks", "expires_at": "expires_at"}
ROW = uuid.UUID("11111111-1111-4111-8111-111111111111")


def announce(database: TestDatabase, rows: str) -> list[dict[str, Any]]:
    """Announce these rows of (id, code, clicks, expires_at); what is in the outbox then."""
    statement = (
        f"WITH due (id, code, clicks, expires_at) AS ({rows}), announced AS ("
        + envelope.Event("link.expired", key="link_id", fields=FIELDS).insert("due")
        + ") SELECT count(*) AS events FROM announced"
    )
    with database.connect() as connection:
        counted = connection.execute(statement.encode(), {"now": NOW}).fetchone()
    stored = database.query("SELECT * FROM toast_outbox ORDER BY id")
    assert counted == {"events": len(stored)}
    return stored


def one(database: TestDatabase, rows: str) -> dict[str, Any]:
    [event] = announce(database, rows)
    return event


def test_a_message_is_flat_and_an_envelope_at_once(database: TestDatabase) -> None:
    event = one(database, f"VALUES ('{ROW}'::uuid, 'abc', 7, '2026-01-02T03:04:05Z')")

    fields = {
        "link_id": str(ROW),
        "short_code": "abc",
        "clicks": 7,
        "expires_at": "2026-01-02T03:04:05Z",
    }
    assert json.loads(event["payload"]) == {
        **fields,
        "id": str(event["event_id"]),
        "type": "link.expired",
        "source": "link-service",
        "timestamp": "2026-03-04T05:06:07.000089Z",
        "data": fields,
    }
    assert event["key"] == str(ROW)
    assert (event["service"], event["topic"]) == ("link", "link.expired")
    assert (event["occurred_at"], event["tries"], event["error"]) == (NOW, 0, "")


def test_a_field_that_is_null_is_left_out_of_both_shapes(database: TestDatabase) -> None:
    message = json.loads(one(database, f"VALUES ('{ROW}'::uuid, 'abc', 0, NULL)")["payload"])
    assert "expires_at" not in message
    assert message["data"] == {"link_id": str(ROW), "short_code": "abc", "clicks": 0}


@pytest.mark.parametrize("text", ["", 'a "quote"', "back\\slash", "line\nbreak", "Käse 🍞", "{}"])
def test_any_text_survives(database: TestDatabase, text: str) -> None:
    literal = "E'" + text.replace("\\", "\\\\").replace("\n", "\\n") + "'"
    event = one(database, f"VALUES ('{ROW}'::uuid, {literal}, 0, '')")
    message = json.loads(event["payload"])
    assert message["short_code"] == text
    assert message["data"]["short_code"] == text
    assert "\n" not in event["payload"]


def test_every_row_is_an_event_of_its_own(database: TestDatabase) -> None:
    stored = announce(
        database, "SELECT gen_random_uuid(), n::text, n, '' FROM generate_series(1, 50) n"
    )
    assert len({event["event_id"] for event in stored}) == 50
    assert len({event["key"] for event in stored}) == 50
    assert all(event["event_id"].version == 4 for event in stored)
    assert {json.loads(event["payload"])["id"] for event in stored} == {
        str(event["event_id"]) for event in stored
    }


def test_no_rows_make_no_event(database: TestDatabase) -> None:
    assert announce(database, f"SELECT '{ROW}'::uuid, '', 0, '' WHERE false") == []


@pytest.mark.parametrize(
    ("timestamp", "text"),
    [
        ("2026-01-02 03:04:05+00", "2026-01-02T03:04:05.000000Z"),
        ("2026-01-02 03:04:05.123456+02", "2026-01-02T01:04:05.123456Z"),
        ("2024-02-29 23:59:59.999999-12", "2024-03-01T11:59:59.999999Z"),
        ("0001-01-01 00:00:00+00", "0001-01-01T00:00:00.000000Z"),
        ("9999-12-31 23:59:59.999999+00", "9999-12-31T23:59:59.999999Z"),
        ("infinity", "9999-12-31T23:59:59.999999Z"),
        ("12001-01-01", "9999-12-31T23:59:59.999999Z"),
        ("-infinity", "0001-01-01T00:00:00.000000Z"),
        ("0044-03-15 BC", "0001-01-01T00:00:00.000000Z"),
    ],
)
def test_times_are_rfc_3339_in_utc_with_microseconds(
    database: TestDatabase, timestamp: str, text: str
) -> None:
    # The session's zone must not matter.
    with database.connect(options="-c TimeZone=Asia/Kathmandu") as connection:
        row = connection.execute(
            f"SELECT {envelope.rfc3339('%(time)s::timestamptz')} AS text".encode(),
            {"time": timestamp},
        ).fetchone()
    assert row == {"text": text}


def test_a_time_that_is_null_stays_null(database: TestDatabase) -> None:
    assert database.query(f"SELECT {envelope.rfc3339('NULL::timestamptz')} AS text") == [
        {"text": None}
    ]


def test_headers_are_the_live_ones_and_cloudevents() -> None:
    assert envelope.headers(
        "blog", "blog.post.scheduled.published", "E-1", "2026-01-02T03:04:05Z"
    ) == [
        ("event_type", "blog.post.scheduled.published"),
        ("timestamp", "2026-01-02T03:04:05Z"),
        ("ce_id", "E-1"),
        ("ce_source", "blog-service"),
        ("ce_type", "blog.post.scheduled.published"),
        ("ce_time", "2026-01-02T03:04:05Z"),
        ("ce_specversion", "1.0"),
        ("content-type", "application/json"),
    ]
