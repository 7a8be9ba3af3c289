"""A million events wait: a worker publishes them in little memory, and operators see them."""

import time

from testing.arena import Arena
from testing.processes import Process, environment, toast
from testing.topics import Topic
from tests.chaos.campaign import Campaign, Figures, Limit, Round, never
from tests.chaos.servers.outbox_writers import (
    TOPIC,
    ids,
    received,
    wait_until_published,
    waking,
)

PREFIX = "big-"
# As many keys as a large live table has rows with events.
_FILL = f"""
INSERT INTO toast_outbox (service, topic, key, event_id, occurred_at, payload)
SELECT 'link', '{TOPIC}', '{PREFIX}' || number, gen_random_uuid(), now(),
       json_build_object('n', number)::text
FROM generate_series(1, %s) AS number"""


def play(arena: Arena, current: Round) -> Figures:
    """Let so many events wait, look at them by the commands, and then publish them."""
    events = int(current.size(1_000_000, 20_000))
    with arena.database() as database:
        topic = Topic(arena.kafka.address, TOPIC)
        database.query(_FILL, events)
        env = environment(database, arena.kafka.address, LINK_EXPIRATION_INTERVAL="1s")
        looks = {command: _seconds(command, env) for command in ("outbox", "status")}
        with Process("workers.link", env=env, fresh=True) as worker:
            worker.wait_for("pass_finished")
            before = worker.memory
            with waking(database):
                published = wait_until_published(database, PREFIX)
            grown = worker.peak_memory - before
        messages = received(topic, PREFIX)
        seen = ids(messages)
        return {
            "events": events,
            "lost": events - len(seen) + (not published),
            "duplicates": len(messages) - len(seen),
            "memory": grown,
            "toast outbox": looks["outbox"],
            "toast status": looks["status"],
        }


def _seconds(command: str, env: dict[str, str]) -> float:
    """How long the command takes, which ends with 0, or with 1 for what it shows."""
    began = time.monotonic()
    assert toast(command, env=env).code in (0, 1)
    return time.monotonic() - began


CAMPAIGN = Campaign(
    name="big-outbox",
    promise="a million waiting events are shown in a moment, and published in little memory",
    faults="a million events in the outbox of one service",
    limits=(
        Limit("events"),
        *never("lost", "duplicates"),
        Limit("memory", most=60, unit=" MB"),
        Limit("toast outbox", most=3, unit=" s", at_full_size=True),
        Limit("toast status", most=3, unit=" s", at_full_size=True),
    ),
    play=play,
)
