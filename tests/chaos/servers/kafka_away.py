"""Kafka away for long: passes go on, events wait, and are soon gone when it is back."""

from __future__ import annotations

import time
from datetime import datetime

from devservers.child_processes import poll_until
from testing.arena import Arena
from testing.processes import Process, environment
from testing.topics import Topic
from testing.workload import ROWS, Rows, only
from tests.chaos.campaign import Campaign, Figures, Limit, Round
from tests.chaos.consumed_events import Consumers
from tests.chaos.workloads import loss_figures
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
        consumers = Consumers(arena.kafka.address, workload.topics)
        settings = only(workload.scheduler, f"{INTERVAL}s")
        env = environment(database, arena.kafka.address, LOG_LEVEL="debug", **settings)
        arena.kafka.stop()
        workload.apart = seconds * 1000 / rows
        workload.fill(rows)
        with Process("workers.link", env=env) as worker:
            worker.wait_for("pass_finished")
            before = worker.memory
            # Rows become due by the clock, and the last of them must be done before the end.
            poll_until(lambda: workload.undone() == 0, seconds + 60, 1)
            waited = workload.waiting()
            grown = worker.memory - before
            late = _late(worker)
            arena.kafka.start()
            returned = time.monotonic()
            poll_until(lambda: topic.count() > 0, DRAIN_SECONDS, 0.02)
            first = time.monotonic()
            poll_until(lambda: topic.count() >= rows, DRAIN_SECONDS, 0.02)
            last = time.monotonic()
            left = workload.wait(DRAIN_SECONDS)
        return {
            **loss_figures(workload, consumers.events()),
            "events waited": waited,
            "late ticks": late,
            "memory": grown,
            "publishing again after": first - returned,
            "drained a second": rows / (last - first),
            "events left": left,
        }


def _late(worker: Process) -> int:
    """How many passes did not begin at a multiple of the interval after the first."""
    began = [
        datetime.fromisoformat(record["time"]).timestamp()
        for record in worker.records("pass_started")
    ]
    offsets = ((moment - began[0]) % INTERVAL for moment in began)
    return sum(LATE_SECONDS < offset < INTERVAL - 0.1 for offset in offsets)


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
        Limit("lost", most=0),
        Limit("second change", most=0),
        Limit("events left", most=0),
    ),
    play=play,
)
