"""A worker stops in time after SIGTERM at any moment, also while a server is unreachable."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from random import Random

from common.scheduling.scheduler import Scheduler
from devservers.child_processes import PATIENCE, poll_until
from testing.arena import Arena
from testing.processes import STOP_SECONDS, Process, environment
from testing.workload import only, service_of
from tests.chaos.campaign import Campaign, Figures, Limit, Round
from tests.chaos.consumed_events import Consumers
from tests.chaos.workloads import SCHEDULERS, loss_figures, open_workload

DUE_ROWS = 100
STOPS_A_ROUND = 5
OUTAGES = ("none", "PostgreSQL frozen", "PostgreSQL stopped", "Kafka frozen")


def play(arena: Arena, current: Round) -> Figures:
    """Stop the worker of one scheduler some times; then one more must find nothing lost."""
    scheduler = SCHEDULERS[current.number % len(SCHEDULERS)]
    stops = int(current.size(STOPS_A_ROUND, 2))
    with arena.database() as database, open_workload(scheduler, database) as workload:
        workload.fill(DUE_ROWS)
        consumers = Consumers(arena.kafka.address, workload.topics)
        settings = {**only(scheduler), **workload.settings}
        env = environment(database, arena.kafka.address, **settings)
        took = [_stop(arena, current.dice, scheduler, env) for _ in range(stops)]
        workload.time_passes()
        with Process(f"workers.{service_of(scheduler)}", env=env):
            left = workload.wait(PATIENCE)
        return {
            **loss_figures(workload, consumers.events()),
            "stops": stops,
            "slowest": max(seconds for _, seconds in took),
            "other exits": sum(code != 0 for code, _ in took),
            "events left": left,
        }


def _stop(
    arena: Arena, dice: Random, scheduler: Scheduler, env: dict[str, str]
) -> tuple[int | None, float]:
    """Start a worker and stop it in the middle of something; its exit code, and the seconds."""
    outage = dice.choice(OUTAGES if scheduler.topics else OUTAGES[:3])
    with Process(f"workers.{service_of(scheduler)}", env=env) as worker:
        # Before that Python itself is starting, and ends as any program does.
        worker.wait_for("worker_started")
        time.sleep(dice.uniform(0, 0.6))
        with _outage(arena, outage):
            time.sleep(dice.choice((0, dice.uniform(0, 1))))
            asked = time.monotonic()
            worker.send(signal.SIGTERM)
            poll_until(lambda: worker.ended is not None, STOP_SECONDS * 1.5)
            return worker.ended, time.monotonic() - asked


@contextmanager
def _outage(arena: Arena, outage: str) -> Iterator[None]:
    if outage == "PostgreSQL frozen":
        arena.postgres.freeze()
    elif outage == "PostgreSQL stopped":
        arena.postgres.stop("immediate")
    elif outage == "Kafka frozen":
        arena.kafka.freeze()
    try:
        yield
    finally:
        if outage == "PostgreSQL frozen":
            arena.postgres.thaw()
        elif outage == "PostgreSQL stopped":
            arena.postgres.start()
        elif outage == "Kafka frozen":
            arena.kafka.thaw()


CAMPAIGN = Campaign(
    name="stops",
    promise="a stop is a stop",
    faults="1,000 SIGTERMs at random moments, PostgreSQL or Kafka frozen or away in most",
    limits=(
        Limit("stops"),
        Limit("slowest", most=STOP_SECONDS, unit=" s", merge=max),
        Limit("other exits", most=0),
        Limit("lost", most=0),
        Limit("second change", most=0),
        Limit("events left", most=0),
        Limit("other bytes", most=0),
    ),
    play=play,
    rounds=200,
    small_rounds=2,
)
