"""A worker stops in time after SIGTERM at any moment, also while a server is unreachable."""

import signal
import time
from contextlib import AbstractContextManager, nullcontext
from random import Random

from devservers.child_processes import poll_until
from testing.arena import Arena
from testing.processes import STOP_SECONDS
from tests.chaos.campaign import Campaign, Figures, Limit, Round
from tests.chaos.outages import away
from tests.chaos.stage import NOTHING_LOST, SCHEDULERS, Stage, staged

DUE_ROWS = 100
STOPS_A_ROUND = 5
OUTAGES = ("none", "PostgreSQL frozen", "PostgreSQL crashed", "Kafka frozen")


def play(arena: Arena, current: Round) -> Figures:
    """Stop the worker of one scheduler some times; then one more must find nothing lost."""
    stops = int(current.size(STOPS_A_ROUND, 2))
    with staged(arena, SCHEDULERS[current.number % len(SCHEDULERS)], DUE_ROWS) as stage:
        took = [_stop(arena, current.dice, stage) for _ in range(stops)]
        stage.workload.time_passes()
        return {
            **stage.settle(),
            "stops": stops,
            "slowest": max(seconds for _, seconds in took),
            "other exits": sum(code != 0 for code, _ in took),
        }


def _stop(arena: Arena, dice: Random, stage: Stage) -> tuple[int | None, float]:
    """Start a worker and stop it in the middle of something; its exit code, and the seconds."""
    outage = dice.choice(OUTAGES if stage.scheduler.topics else OUTAGES[:3])
    with stage.worker() as worker:
        # Before that Python itself is starting, and ends as any program does.
        worker.wait_for("worker_started")
        time.sleep(dice.uniform(0, 0.6))
        with _outage(arena, outage):
            time.sleep(dice.choice((0, dice.uniform(0, 1))))
            asked = time.monotonic()
            worker.send(signal.SIGTERM)
            poll_until(lambda: worker.ended is not None, STOP_SECONDS * 1.5)
            return worker.ended, time.monotonic() - asked


def _outage(arena: Arena, outage: str) -> AbstractContextManager[None]:
    server, _, how = outage.partition(" ")
    if not how:
        return nullcontext()
    return away(arena.kafka if server == "Kafka" else arena.postgres, how)


CAMPAIGN = Campaign(
    name="stops",
    promise="a stop is a stop",
    faults="1,000 SIGTERMs at random moments, PostgreSQL or Kafka frozen or away in most",
    limits=(
        Limit("stops"),
        Limit("slowest", most=STOP_SECONDS, unit=" s", merge=max),
        Limit("other exits", most=0),
        *NOTHING_LOST,
    ),
    play=play,
    rounds=200,
    small_rounds=2,
)
