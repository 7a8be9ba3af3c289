"""Transactions commit in another order than their events were numbered in; none is passed over."""

import threading
import time
from random import Random

from testing.arena import Arena
from testing.database import TestDatabase
from testing.processes import Process, environment
from testing.topics import Topic
from tests.chaos.campaign import Campaign, Figures, Limit, Round, never
from tests.chaos.servers.outbox_writers import (
    TOPIC,
    add_events,
    ids,
    received,
    wait_until_published,
    waking,
)

WRITERS = 64
EVENTS_A_TRANSACTION = 10
ROLLBACKS = 0.05
PREFIX = "writer-"


def play(arena: Arena, current: Round) -> Figures:
    """Write from many sides at once while a worker publishes; then compare the ids."""
    transactions = int(current.size(200_000, 4_000)) // EVENTS_A_TRANSACTION // WRITERS
    with arena.database() as database:
        topic = Topic(arena.kafka.address, TOPIC)
        env = environment(database, arena.kafka.address, LINK_EXPIRATION_INTERVAL="100ms")
        writers = [
            Writer(database, Random(current.dice.random()), number, transactions)
            for number in range(WRITERS)
        ]
        slow = Writer(database, current.dice, WRITERS, 0)
        with Process("workers.link", env=env) as worker, waking(database):
            slow.open_for(current.size(600, 3))
            for writer in (slow, *writers):
                writer.thread.start()
            for writer in (slow, *writers):
                writer.thread.join()
            all_published = wait_until_published(database, PREFIX)
            has_ended = worker.ended is not None
        messages = received(topic, PREFIX)
        seen = ids(messages)
        committed = set().union(*(writer.committed for writer in (slow, *writers)))
        return {
            "events": len(committed),
            "lost": len(committed - seen),
            "never committed": len(seen - committed),
            "duplicates": len(messages) - len(seen),
            "events left": not all_published,
            "process exits": has_ended,
        }


class Writer:
    """One connection that writes transaction after transaction, each at its own pace."""

    def __init__(
        self, database: TestDatabase, dice: Random, number: int, transactions: int
    ) -> None:
        self._database = database
        self._dice = dice
        self._keys = [f"{PREFIX}{number}-{key}" for key in range(EVENTS_A_TRANSACTION)]
        self._pauses = [dice.uniform(0, 0.05) for _ in range(transactions)]
        self.committed: set[str] = set()
        self.thread = threading.Thread(target=self._write)

    def open_for(self, seconds: float) -> None:
        """Write one transaction only, which is open for that long."""
        self._pauses = [seconds]

    def _write(self) -> None:
        with self._database.connect(autocommit=False) as connection:
            for number, pause in enumerate(self._pauses):
                rows = add_events(connection, number, self._keys)
                time.sleep(pause)
                if len(self._pauses) > 1 and self._dice.random() < ROLLBACKS:
                    connection.rollback()
                else:
                    connection.commit()
                    self.committed.update(row["id"] for row in rows)


CAMPAIGN = Campaign(
    name="late-commits",
    promise="late commits are never skipped",
    faults="64 writers, 200,000 events, random delays, 5 % rolled back, one open for 10 minutes",
    limits=(
        Limit("events"),
        *never("lost", "never committed", "events left", "process exits"),
        Limit("duplicates"),
    ),
    play=play,
)
