"""TOAST_EVENTS_PER_SECOND: events go out at this pace, in order; a stop does not wait for it."""

from __future__ import annotations

import json
import threading
import time
from collections import defaultdict
from collections.abc import Iterator

import pytest

from common.database.connection import Database
from common.events.publisher import Publisher
from common.events.round import Published, Stop
from common.worker.publisher_thread import PublisherThread
from devservers.child_processes import PATIENCE, poll_until
from testing.database import TestDatabase
from testing.processes import environment, toast
from testing.topics import Topic
from tests.support.expired_links import insert_expired
from tests.support.probes import settings

TOPIC = "link.expired"

_EVENTS = """
INSERT INTO toast_outbox (service, topic, key, event_id, occurred_at, payload)
SELECT 'link', %s, n %% %s, gen_random_uuid(), now(), n FROM generate_series(1, %s) AS n"""


@pytest.fixture
def paced(
    database: TestDatabase,
    mock_broker: str,
    monkeypatch: pytest.MonkeyPatch,
    request: pytest.FixtureRequest,
) -> Iterator[Publisher]:
    """A publisher with the pace that the test gives."""
    loaded = settings(database, monkeypatch, mock_broker, TOAST_EVENTS_PER_SECOND=request.param)
    publisher = Publisher(loaded, Database(loaded))
    yield publisher
    publisher.close()


def add_events(database: TestDatabase, number: int, *, keys: int) -> None:
    database.query(_EVENTS, TOPIC, keys, number)


# Fewer keys than events that go out together, or more.
@pytest.mark.parametrize("keys", [7, 1000])
@pytest.mark.parametrize("paced", ["100"], indirect=True)
def test_events_go_out_at_the_pace_and_in_order(
    database: TestDatabase, mock_broker: str, paced: Publisher, keys: int
) -> None:
    add_events(database, 210, keys=keys)
    arrived = Topic(mock_broker, TOPIC)
    began = time.monotonic()

    outcome = paced.drain(Stop(lambda: False, threading.Event().wait))

    seconds = time.monotonic() - began
    assert outcome == Published(published=210)
    # The first of them, at most 10, go out at once.
    assert 2.0 <= seconds < 2.1 * 1.5  # the tests of others may slow it down
    by_key = defaultdict(list)
    for message in arrived.read(210):
        by_key[message.key].append(int(message.value))
    assert all(values == sorted(values) for values in by_key.values())


@pytest.mark.parametrize("paced", ["2"], indirect=True)
def test_a_stop_does_not_wait_for_the_pace(
    database: TestDatabase, mock_broker: str, paced: Publisher
) -> None:
    add_events(database, 1000, keys=1000)
    arrived = Topic(mock_broker, TOPIC)
    thread = PublisherThread(paced, "link")
    thread.start()
    assert poll_until(lambda: arrived.count() > 0, PATIENCE)

    began = time.monotonic()
    thread.stop(PATIENCE)
    thread.thread.join(PATIENCE)

    assert time.monotonic() - began < 0.4  # less than until the next event
    [row] = database.query("SELECT count(*) AS waiting FROM toast_outbox")
    assert row["waiting"] == 1000 - arrived.count()


def test_once_keeps_the_pace(database: TestDatabase, mock_broker: str) -> None:
    database.query("DELETE FROM link_links")
    insert_expired(database, 30)
    env = environment(database, mock_broker, TOAST_EVENTS_PER_SECOND="20")
    began = time.monotonic()

    answer = toast("once", "link", "--json", env=env)

    assert time.monotonic() - began > 1.4
    assert (answer.code, json.loads(answer.out)["published"]) == (0, 30)
