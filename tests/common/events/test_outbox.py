"""The outbox table: what waits, what rests, what was set aside, and how it comes back."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from common.database.session import Session
from common.events.outbox import Outbox
from common.logging import redaction
from testing.database import TestDatabase
from tests.support.outbox_rows import add_event


@pytest.fixture
def connection(database: TestDatabase) -> Iterator[Session]:
    with database.session() as connection:
        yield connection


@pytest.fixture
def box(connection: Session) -> Outbox:
    return Outbox(connection, "link")


def ids(box: Outbox, *, after: int = 0, limit: int = 100) -> list[int]:
    return [event.id for event in box.read(after=after, limit=limit)]


def waiting(database: TestDatabase, event: int) -> dict[str, Any]:
    [row] = database.query("SELECT * FROM toast_outbox WHERE id = %s", event)
    return row


def set_aside(box: Outbox, event: int, reason: str = "too large") -> None:
    [stored] = [stored for stored in box.read(after=0, limit=100) if stored.id == event]
    box.set_aside(stored, reason)


def test_events_are_read_in_order_of_their_ids(database: TestDatabase, box: Outbox) -> None:
    first, second, third = (add_event(database, key=key) for key in "zab")
    assert ids(box) == [first, second, third]
    assert ids(box, after=first) == [second, third]
    assert ids(box, limit=2) == [first, second]


def test_a_service_reads_its_own_events_only(database: TestDatabase, box: Outbox) -> None:
    ours, others = add_event(database), add_event(database, service="blog")
    assert ids(box) == [ours]
    assert box.waiting() == 1
    box.delete([ours, others])
    assert database.query("SELECT id FROM toast_outbox") == [{"id": others}]


def test_an_event_is_read_as_it_was_stored(database: TestDatabase, box: Outbox) -> None:
    number, event_id = uuid.uuid4(), uuid.uuid4()
    add_event(database, key=str(number), event_id=event_id, payload='{"a": "Ü"}')
    [event] = box.read(after=0, limit=1)
    assert (event.key, event.event_id, event.payload) == (str(number), str(event_id), '{"a": "Ü"}')
    assert event.occurred_at == "2026-01-02T03:04:05.678900Z"
    assert (event.tries, event.is_postponed) == (0, False)


def test_deleting_nothing_deletes_nothing(database: TestDatabase, box: Outbox) -> None:
    number = add_event(database)
    box.delete([])
    assert ids(box) == [number]


def test_the_back_off_of_a_refused_event_doubles_with_each_try_up_to_256_seconds(
    database: TestDatabase, box: Outbox
) -> None:
    number, bystander = add_event(database), add_event(database)
    rests = []
    for tries in (1, 2, 3, 4, 30):
        database.query("UPDATE toast_outbox SET tries = %s WHERE id = %s", tries - 1, number)
        [event, other] = box.read(after=0, limit=2)
        box.postpone(event, f"reason {tries}")
        [row] = database.query(
            "SELECT retry_at - clock_timestamp() AS rest, tries, error FROM toast_outbox"
            " WHERE id = %s",
            number,
        )
        assert (row["tries"], row["error"]) == (tries, f"reason {tries}")
        rests.append(row["rest"].total_seconds())
        assert [event.is_postponed for event in box.read(after=0, limit=2)] == [True, False]
        assert other.id == bystander
    for rest, expected in zip(rests, (2, 4, 8, 16, 256), strict=True):
        assert expected - 1.5 < rest <= expected  # read a moment after it was written


def test_an_event_is_due_again_when_its_back_off_ends(database: TestDatabase, box: Outbox) -> None:
    add_event(database, tries=3, retry_at=datetime(2026, 1, 1, tzinfo=UTC))
    [event] = box.read(after=0, limit=1)
    assert not event.is_postponed


def test_an_event_is_set_aside_with_its_reason_and_all_it_was(
    database: TestDatabase, box: Outbox
) -> None:
    number, bystander = add_event(database, tries=4, payload='{"a": 1}'), add_event(database)
    before = waiting(database, number)

    set_aside(box, number, "Broker: Message size too large")

    [row] = database.query("SELECT * FROM toast_outbox_set_aside")
    kept = ("id", "service", "topic", "key", "event_id", "occurred_at", "payload")
    assert {name: row[name] for name in kept} == {name: before[name] for name in kept}
    assert (row["tries"], row["error"]) == (5, "Broker: Message size too large")
    assert ids(box) == [bystander]


def test_a_reason_is_cut_and_without_secrets(database: TestDatabase, box: Outbox) -> None:
    redaction.register(["s3cret-of-the-outbox"])
    postponed, refused = add_event(database), add_event(database)
    reason = "s3cret-of-the-outbox " + "x" * 1000
    [event, _] = box.read(after=0, limit=2)
    box.postpone(event, reason)
    set_aside(box, refused, reason)
    errors = [
        waiting(database, postponed)["error"],
        database.query("SELECT error FROM toast_outbox_set_aside")[0]["error"],
    ]
    for error in errors:
        assert error.startswith("*** xxx")
        assert len(error) == 500
