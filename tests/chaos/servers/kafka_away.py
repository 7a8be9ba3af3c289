"""Kafka away for long: passes go on, events wait, and are soon gone when it is back."""

import time

from devservers.child_processes import poll_until
from testing.arena import Arena
from testing.processes import Process
from testing.topics import Topic
from testing.workload import ROWS, Rows
from tests.chaos.campaign import Campaign, Figures, Limit, Round
from tests.chaos.outages import late_passes
from tests.chaos.stage import NOTHING_LOST, Stage
from workers.link import link_expiration

TOPIC = "link.expired"
INTERVAL = 1.0
# A pass that begins so long after its tick is late.
LATE_SECONDS = 0.5
DRAIN_SECONDS = 120.0


def play(arena: Arena, current: Round) -> Figures:
    """Let rows become due all through an outage of the broker."""
    seconds, rows = current.size(900, 8), int(current.size(100_000, 10_000))
    with arena.database() as database:
        workload = Rows(ROWS[link_expiration.SCHEDULER.name], database)
        topic = Topic(arena.kafka.address, TOPIC)
        stage = Stage(workload, arena.kafka.address, f"{INTERVAL}s", LOG_LEVEL="debug")
        arena.kafka.stop()
        workload.apart = seconds * 1000 / rows
        workload.fill(rows)
        with Process(stage.module, env=stage.env, fresh=True) as worker:
            worker.wait_for("pass_finished")
            before = worker.memory
            # Rows become due by the clock, and the last of them must be done before the end.
            poll_until(lambda: workload.undone() == 0, seconds + 60, 1)
            waited = workload.waiting()
            grown = worker.memory - before
            late = late_passes(worker, INTERVAL, late=LATE_SECONDS)
            arena.kafka.start()
            returned = time.monotonic()
            poll_until(lambda: topic.count() > 0, DRAIN_SECONDS, 0.02)
            first = time.monotonic()
            poll_until(lambda: topic.count() >= rows, DRAIN_SECONDS, 0.02)
            last = time.monotonic()
            workload.wait(DRAIN_SECONDS)
        return {
            **stage.judge(),
            "events waited": waited,
            "late ticks": late,
            "memory": grown,
            "publishing again after": first - returned,
            "drained a second": rows / (last - first),
        }


CAMPAIGN = Campaign(
    name="kafka-away",
    promise="Kafka may be away",
    faults="15 minutes, in which 100,000 rows become due",
    limits=(
        Limit("events waited", least=1),
        Limit("late ticks", most=0),
        Limit("memory", most=20, unit=" MB", merge=max),
        Limit("publishing again after", most=10, unit=" s", merge=max),
        Limit("drained a second", least=10_000, at_full_size=True, merge=min),
        *NOTHING_LOST,
    ),
    play=play,
)
