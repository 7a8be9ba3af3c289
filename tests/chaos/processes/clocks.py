"""The host's clock is stepped: a pass deletes nothing with a wrong clock, all with a right one.

The pass gets the stepped time as ``host_now``, which the workers' own guard compares.
"""

from datetime import UTC, datetime, timedelta

from common.scheduling.under_way.clock_guard import MOST_DIFFERENCE, ClocksDiffer
from testing.arena import Arena
from testing.passes import run_pass
from testing.workload import ROWS, Rows
from tests.chaos.campaign import Campaign, Figures, Limit, Round, never

DUE_ROWS = 100
STEPS = 20
DELETING = [case for case in ROWS.values() if case.changes is None]


def play(arena: Arena, current: Round) -> Figures:
    """Step the clock there and back, some times far and some times a little."""
    with arena.database() as database:
        workload = Rows(DELETING[current.number % len(DELETING)], database)
        workload.apart = 0
        workload.fill(DUE_ROWS)
        wrongly, silent = 0, 0
        for _ in range(STEPS):
            step = timedelta(days=current.dice.uniform(0.01, 4000) * current.dice.choice((-1, 1)))
            now = datetime.now(UTC)
            try:
                run_pass(database, workload.scheduler, now=now, host_now=now + step)
                silent += 1
            except ClocksDiffer as error:
                silent += "set the one that is wrong" not in str(error)
            wrongly += DUE_ROWS - workload.undone()
        now = datetime.now(UTC)
        run_pass(database, workload.scheduler, now=now, host_now=now + MOST_DIFFERENCE * 0.9)
        return {
            "steps": STEPS,
            "deleted by a wrong clock": wrongly,
            "not said": silent,
            "left by a right one": workload.undone(),
        }


CAMPAIGN = Campaign(
    name="clocks",
    promise="a wrong clock deletes nothing",
    faults="the host's clock stepped by minutes to years, there and back",
    limits=(
        Limit("steps"),
        *never("deleted by a wrong clock", "not said", "left by a right one"),
    ),
    play=play,
    rounds=len(DELETING) * 10,
    small_rounds=len(DELETING),
)
