"""Per-key order, while publishers are killed and the broker bounces."""

import threading
import time
from collections import defaultdict
from collections.abc import Iterable

from testing.arena import Arena
from testing.database import TestDatabase
from testing.processes import Process, environment
from testing.topics import ReceivedMessage, Topic
from tests.chaos.campaign import Campaign, Figures, Limit, Round, never
from tests.chaos.outages import away
from tests.chaos.servers.outbox_writers import (
    TOPIC,
    add_events,
    ids,
    received,
    wait_until_published,
    waking,
)

WRITERS = 4
SETTINGS = {"LINK_EXPIRATION_INTERVAL": "100ms"}
FAULTS = ("worker", "worker", "stopped", "killed", "frozen")
PREFIX = "key-"


def play(arena: Arena, current: Round) -> Figures:
    """Publish numbered events under faults, and look at what consumers got."""
    keys = int(current.size(1_000, 100))
    events = int(current.size(100, 20))
    with arena.database() as database:
        topic = Topic(arena.kafka.address, TOPIC)
        with waking(database):
            faults = _under_faults(arena, current, database, keys, events)
            published = wait_until_published(database, PREFIX)
        messages = received(topic, PREFIX)
        seen = ids(messages)
        return {
            "events": keys * events,
            "faults": faults,
            "inversions": inversions(messages),
            "lost": keys * events - len(seen) + (not published),
            "duplicates": len(messages) - len(seen),
        }


def _under_faults(
    arena: Arena, current: Round, database: TestDatabase, keys: int, events: int
) -> int:
    """Write all events while faults happen, and end with two workers that are well."""
    env = environment(database, arena.kafka.address, **SETTINGS)
    names = [f"{PREFIX}{number}" for number in range(keys)]
    writers = [
        threading.Thread(target=_write, args=(database, names[start::WRITERS], events, current))
        for start in range(WRITERS)
    ]
    faults = 0
    workers = [Process("workers.link", env=env) for _ in range(2)]
    try:
        for writer in writers:
            writer.start()
        while any(writer.is_alive() for writer in writers) or faults < current.size(10, 2):
            fault = (
                FAULTS[faults % len(FAULTS)] if current.full else ("worker", "frozen")[faults % 2]
            )
            victim = faults % 2
            if fault == "worker":
                workers[victim].kill()
                workers[victim] = Process("workers.link", env=env)
            else:
                with away(arena.kafka, fault):
                    time.sleep(current.dice.uniform(0.5, 3))
            faults += 1
            time.sleep(current.dice.uniform(0.2, 1.5))
        for writer in writers:
            writer.join()
        wait_until_published(database, PREFIX)
    finally:
        for worker in workers:
            worker.kill()
    with Process("workers.link", env=env):
        wait_until_published(database, PREFIX)
    return faults


def _write(database: TestDatabase, keys: list[str], events: int, current: Round) -> None:
    pause = current.size(0.3, 0.1)
    with database.connect() as connection:
        for number in range(events):
            add_events(connection, number, keys)
            time.sleep(pause)


def inversions(messages: Iterable[ReceivedMessage]) -> int:
    """How often a consumer met an event for the first time after a later one of its key."""
    latest: defaultdict[str, int] = defaultdict(lambda: -1)
    seen: set[str] = set()
    found = 0
    for message in messages:
        event, number = dict(message.headers)["ce_id"], int(message.json["n"])
        if event not in seen and number < latest[message.key]:
            found += 1
        seen.add(event)
        latest[message.key] = max(latest[message.key], number)
    return found


CAMPAIGN = Campaign(
    name="order",
    promise="the order of a key is kept",
    faults="1,000 keys with 100 events each; workers killed, broker stopped, killed, frozen",
    limits=(
        Limit("events"),
        Limit("faults", least=2),
        *never("inversions", "lost"),
        Limit("duplicates"),
    ),
    play=play,
)
