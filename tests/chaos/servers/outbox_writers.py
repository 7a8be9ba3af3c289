"""Events put into the outbox beside the worker, numbered per key; and links that wake it."""

import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from psycopg.rows import DictRow

from common.database.session import Connection
from devservers.child_processes import poll_until
from testing.database import TestDatabase
from testing.topics import ReceivedMessage, Topic
from tests.support.background import in_background
from tests.support.expired_links import EXPIRED

TOPIC = "link.expired"
WAKE_SECONDS = 0.2
DRAIN_SECONDS = 120.0

# One event for each key, each with the next number of its key.
_ADD = """
INSERT INTO toast_outbox (service, topic, key, event_id, occurred_at, payload)
SELECT 'link', 'link.expired', key, gen_random_uuid(), now(), json_build_object('n', %s::int)::text
FROM unnest(%s::text[]) AS key
RETURNING event_id::text AS id"""


def add_events(connection: Connection, number: int, keys: list[str]) -> list[DictRow]:
    """Insert one event for each key; returns their ids."""
    return connection.execute(_ADD, (number, keys)).fetchall()


@contextmanager
def waking(database: TestDatabase) -> Iterator[None]:
    """Let a link expire every WAKE_SECONDS: a worker publishes after a pass with events."""
    done = threading.Event()

    def expire() -> None:
        while not done.wait(WAKE_SECONDS):
            database.insert("link_links", expires_at=EXPIRED)

    with in_background(done, expire):
        yield


def wait_until_published(database: TestDatabase, prefix: str) -> bool:
    """Wait until no event of such keys is in the outbox; False if one stays there."""
    rows = f"toast_outbox WHERE key LIKE '{prefix}%'"
    return poll_until(lambda: not database.count(rows), DRAIN_SECONDS, 0.2)


def received(topic: Topic, prefix: str) -> list[ReceivedMessage]:
    """The messages of such keys, until now."""
    return [message for message in topic.so_far() if message.key.startswith(prefix)]


def ids(messages: Iterable[ReceivedMessage]) -> set[str]:
    """The ids of their events."""
    return {dict(message.headers)["ce_id"] for message in messages}
