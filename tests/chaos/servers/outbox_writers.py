"""Events put into the outbox beside the worker, numbered per key; and links that wake it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from psycopg.rows import DictRow

from common.database.session import Connection
from testing.database import TestDatabase
from tests.support.background import in_background
from tests.support.expired_links import EXPIRED

TOPIC = "link.expired"
WAKE_SECONDS = 0.2

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
