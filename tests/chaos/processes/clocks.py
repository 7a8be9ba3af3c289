"""A clock is stepped: nothing is deleted by one that is wrong, and all of it by one that is right.

The host's clock is what a pass is told of it, which is where the workers' own guard looks.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from common.scheduling.clock_guard import MOST_DIFFERENCE, ClocksDiffer
from testing.arena import Arena
from testing.passes import run_pass
from testing.world import ROWS, Rows
from tests.chaos.campaign import Campaign, Figures, Limit, Round

DUE_ROWS = 100
STEPS = 20
DELETING = [case for case in ROWS.values() if case.changes is None]


def play(arena: Arena, current: Round) -> Figures:
    """Step the clock there and back, some times far and some times a little."""
    with arena.database() as database:
        world = Rows(DELETING[current.number % len(DELETING)], database)
        world.apart = 0
        world.fill(DUE_ROWS)
        wrongly, silent = 0, 0
        for _ in range(STEPS):
            step = timedelta(days=current.dice.uniform(0.01, 4000) * current.dice.choice((-1, 1)))
            now = datetime.now(UTC)
            try:
                run_pass(database, world.scheduler, now=now, host_now=now + step)
                silent += 1
            except ClocksDiffer as error:
                silent += "set the one that is wrong" not in str(error)
            wrongly += DUE_ROWS - world.undone()
        now = datetime.now(UTC)
        run_pass(database, world.scheduler, now=now, host_now=now + MOST_DIFFERENCE * 0.9)
        return {
            "steps": STEPS,
            "deleted by a wrong clock": wrongly,
            "not said": silent,
            "left by a right one": world.undone(),
        }


CAMPAIGN = Campaign(
    name="clocks",
    promise="a wrong clock deletes nothing",
    faults="the host's clock stepped by minutes to years, there and back",
    limits=(
        Limit("steps"),
        Limit("deleted by a wrong clock", most=0),
        Limit("not said", most=0),
        Limit("left by a right one", most=0),
    ),
    play=play,
    rounds=len(DELETING) * 10,
    small_rounds=len(DELETING),
)
