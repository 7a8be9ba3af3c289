"""A kill anywhere loses nothing: every scheduler at every place, and at random moments.

Two workers of one service share the rows of one scheduler. One of them is armed to be killed at
a place of common/failpoints.py, or is killed at a moment of the dice; it is started again, and
in the end the rows and the topics must be those of a model that knows of no kill.
"""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from random import Random

from common.events.round import BATCH_EVENTS
from common.scheduling.scheduler import Scheduler
from devservers.child_processes import poll_until
from testing.arena import Arena
from testing.database import TestDatabase
from testing.workload import DUE_BY
from tests.chaos.campaign import Campaign, Figures, Limit, Round, never
from tests.chaos.remote_workloads import REMOTE
from tests.chaos.stage import NOTHING_LOST, SCHEDULERS, Stage, open_workload

DUE_ROWS = 200
REPETITIONS = 20
# Every so many rounds the moments are random: a thousand kills in all.
RANDOM_EVERY = 20
# The same where the dice choose the killing.
RANDOM_SHARE = 0.1
KILLS_A_RANDOM_ROUND = 11
# The armed worker comes to its place within that time, or it has none there.
REACH_SECONDS = 15.0
# What an operator is promised after the last start.
CATCH_UP_SECONDS = 10.0

ANYWHERE = ("start", "connected", "stopping")
BATCHES = ("statement", "committed")
PUBLISHED = ("produced", "reported")
# Places that a batch comes to again and again.
REPEATED = (*BATCHES, *PUBLISHED, "asked", "answered", "commit")


@dataclass(frozen=True, slots=True)
class Killing:
    """Which worker is killed where; no place: at random moments."""

    scheduler: Scheduler
    place: str


def _places(scheduler: Scheduler) -> tuple[str, ...]:
    published = PUBLISHED if scheduler.topics else ()
    own = REMOTE[scheduler.name].places if scheduler.name in REMOTE else BATCHES
    return (*ANYWHERE, *own, *published)


def _killings() -> list[Killing]:
    """Every scheduler with every place of its own, in an order that mixes them."""
    every = [Killing(each, place) for each in SCHEDULERS for place in _places(each)]
    Random("an order that mixes them").shuffle(every)
    return every


KILLINGS = _killings()


def play(arena: Arena, current: Round) -> Figures:
    """One killing, or several at random moments."""
    with arena.database() as database:
        return play_one(arena, current.dice, _killing(current), database, {})


def any_killing(dice: Random) -> Killing:
    """Any one; one of ten is at random moments."""
    killing = dice.choice(KILLINGS)
    return Killing(killing.scheduler, "") if dice.random() < RANDOM_SHARE else killing


def play_one(
    arena: Arena,
    dice: Random,
    killing: Killing,
    database: TestDatabase,
    variables: Mapping[str, str],
) -> dict[str, float]:
    """The same on a database of any kind; workers find ``variables`` in their environment, too."""
    with open_workload(killing.scheduler, database) as workload:
        workload.fill(DUE_ROWS)
        stage = Stage(workload, arena.kafka.address, **variables)
        figures = _kill(stage, killing, dice)
        in_flight = figures["kills"] * min(BATCH_EVENTS, DUE_ROWS) * len(workload.topics)
        return {**figures, "duplicates beyond the batch": max(0, figures["duplicates"] - in_flight)}


def _killing(current: Round) -> Killing:
    if current.number % RANDOM_EVERY == RANDOM_EVERY - 1:
        return Killing(current.dice.choice(KILLINGS).scheduler, "")
    return KILLINGS[(current.number - current.number // RANDOM_EVERY) % len(KILLINGS)]


def _kill(stage: Stage, killing: Killing, dice: Random) -> dict[str, float]:
    together = dice.random() < 0.5
    armed = _armed(killing, dice) if killing.place else ""
    with ExitStack() as running:

        def sibling() -> None:
            if together:
                time.sleep(dice.uniform(0, 0.3))
                running.enter_context(stage.worker())

        if armed:
            kills = _kill_at(armed, stage, dice, sibling)
        else:
            kills = _kill_at_random(stage, dice, sibling)
        stage.workload.time_passes()
        stage.catch_up(CATCH_UP_SECONDS, workers=1 if together else 2)
    # A sibling may have done all work before the place; and a late worker finds all work due at
    # once and reaches a place fewer than three times.
    missed = not kills and not together and ":1:" in armed
    return {**stage.judge(), "kills": kills, "place not reached": missed}


def _armed(killing: Killing, dice: Random) -> str:
    """The value of TOAST_FAILPOINT."""
    # Where all is due at once, or few events are sent, a place is come to once only.
    once = (*PUBLISHED, *BATCHES) if killing.scheduler.name not in DUE_BY else ()
    repeated = killing.place in REPEATED and killing.place not in once
    late = killing.place in ("statement", "asked")
    seconds = dice.choice((0, 0.0005, 0.002, 0.01)) if late else 0
    return f"{killing.place}:{dice.randint(1, 3) if repeated else 1}:{seconds}"


def _kill_at(armed: str, stage: Stage, dice: Random, sibling: Callable[[], None]) -> int:
    """Start a worker that is armed so; returns whether that has killed it."""
    with stage.worker(TOAST_FAILPOINT=armed) as worker:
        sibling()
        if armed.startswith("stopping"):
            worker.wait_for("scheduler_started")
            time.sleep(dice.uniform(0, 0.5))
            worker.send(signal.SIGTERM)
        poll_until(lambda: worker.ended is not None, REACH_SECONDS)
        return int(worker.ended == -signal.SIGKILL)


def _kill_at_random(stage: Stage, dice: Random, sibling: Callable[[], None]) -> int:
    sibling()
    for _ in range(KILLS_A_RANDOM_ROUND):
        with stage.worker():
            time.sleep(dice.uniform(0.2, 1.2))
    return KILLS_A_RANDOM_ROUND


# What holds wherever a worker is killed.
LIMITS = (
    *NOTHING_LOST,
    Limit("duplicates"),
    *never("duplicates beyond the batch", "place not reached"),
)

ROUNDS = len(KILLINGS) * REPETITIONS * RANDOM_EVERY // (RANDOM_EVERY - 1)

CAMPAIGN = Campaign(
    name="kills",
    promise="a kill anywhere loses nothing, and what is sent again can be recognised",
    faults=f"{len(KILLINGS)} scheduler and place, {REPETITIONS} times each, and "
    f"{ROUNDS // RANDOM_EVERY * KILLS_A_RANDOM_ROUND:,} kills at random; "
    f"2 workers, {DUE_ROWS} due rows",
    limits=(Limit("kills"), *LIMITS),
    play=play,
    rounds=ROUNDS,
    small_rounds=4,
)
