"""Two machines obey one pause: two workers of one service stop amid their work, and go on.

They share the rows of one scheduler, which an operator pauses in the middle. In half of the rounds
one of them is replaced during the pause.
"""

import time
from collections.abc import Sequence
from contextlib import ExitStack
from datetime import UTC, datetime
from random import Random

import workers
from common.cli.operate import pauses
from common.database.audit import Operator
from devservers.child_processes import PATIENCE, poll_until
from testing.arena import Arena
from testing.processes import Process
from testing.workload import DUE_BY, ROWS, service_of
from tests.chaos.campaign import Campaign, Figures, Limit, Round, never
from tests.chaos.outages import moment
from tests.chaos.stage import NOTHING_LOST, Stage, staged
from tests.support.expired_links import slow_down

WORKERS = 2
# Of a batch, so that the rows are many batches.
BATCH_SECONDS = 0.3
# What an operator is promised, beside the batch in hand.
OBEY_SECONDS = 2.0
# Of workers that would still change rows.
SKIPPED_PASSES = 5
MOST_SECONDS = 300.0

OPERATOR = Operator("an operator", "a third machine")


def play(arena: Arena, current: Round) -> Figures:
    """Pause and resume one scheduler while two workers have due rows before them."""
    case = ROWS[list(DUE_BY)[current.number % len(DUE_BY)]]
    with staged(arena, case.scheduler, int(current.size(200_000, 40_000)), apart=0) as stage:
        slow_down(stage.database, case.table, BATCH_SECONDS)
        with ExitStack() as running:
            started = [running.enter_context(stage.worker()) for _ in range(WORKERS)]
            figures = _pause(stage, started, running, current.dice)
            stage.workload.wait(MOST_SECONDS)
            exits = sum(worker.stop() != 0 for worker in started)
        return {**stage.judge(), **figures, "other exits": exits}


def _pause(
    stage: Stage, started: list[Process], running: ExitStack, dice: Random
) -> dict[str, float]:
    """Pause in the middle, look whether all stand still, and see them go on."""
    poll_until(lambda: stage.database.count("chaos_changes") > 0, PATIENCE)
    time.sleep(dice.uniform(0, BATCH_SECONDS))
    job, name = workers.load(service_of(stage.scheduler)), stage.scheduler.name
    with stage.database.session() as connection:
        begun = pauses.pause(connection, OPERATOR, job, name, pauses.end(), "a receiver is broken")
    since = begun[name].paused_at.timestamp()
    seconds = max(_stopped(worker, since) - since for worker in started)
    left = stage.workload.undone()
    if dice.random() < 0.5:
        started[-1].stop()
        started[-1] = running.enter_context(stage.worker())
    for worker in started:
        skipped = len(worker.records("pass_finished", result="skipped"))
        worker.wait_for("pass_finished", result="skipped", count=skipped + SKIPPED_PASSES)
    done = left - stage.workload.undone()
    resumed = datetime.now(UTC).timestamp()
    with stage.database.session() as connection:
        if dice.random() < 0.5:
            pauses.resume(connection, OPERATOR, job, name)
        else:
            pauses.pause(connection, OPERATOR, job, name, pauses.end("1s"), "it is being repaired")
    return {
        "pauses": 1,
        "slowest stop": seconds,
        "left at a pause": left,
        "done in a pause": done,
        "did not go on": _idle(started, resumed),
    }


def _stopped(worker: Process, since: float) -> float:
    """When its first pass ended that the pause has stopped or skipped."""

    def ends() -> list[float]:
        every = (moment(each) for each in worker.records("pass_finished") if "reason" in each)
        return [end for end in every if end >= since]

    assert poll_until(lambda: bool(ends()), PATIENCE), worker.log
    return ends()[0]


def _idle(started: Sequence[Process], since: float) -> int:
    """How many of them finish no pass after that time."""

    def goes_on(worker: Process) -> bool:
        passes = worker.records("pass_finished", result="ok")
        return any(moment(each) > since for each in passes)

    poll_until(lambda: all(map(goes_on, started)), MOST_SECONDS)
    return sum(not goes_on(worker) for worker in started)


CAMPAIGN = Campaign(
    name="pause",
    promise="all machines obey one pause, and go on after it",
    faults=f"{WORKERS} workers paused amid 200,000 due rows in batches of {BATCH_SECONDS} s, "
    "one of them replaced meanwhile in half of the rounds; resumed, or the pause ends by itself",
    limits=(
        Limit("pauses"),
        Limit(
            "slowest stop",
            most=OBEY_SECONDS + BATCH_SECONDS,
            unit=" s",
            merge=max,
            at_full_size=True,
        ),
        Limit("left at a pause", least=1, merge=min),
        *never("done in a pause", "did not go on", "other exits"),
        *NOTHING_LOST,
    ),
    play=play,
    rounds=3 * len(DUE_BY),
)
