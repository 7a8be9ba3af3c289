"""Eight workers of one service, restarted in turn, on rows that editors are writing to."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from random import Random

from testing.arena import Arena
from testing.database import TestDatabase
from testing.workload import ROWS
from tests.chaos.campaign import Campaign, Figures, Limit, Round, never
from tests.chaos.stage import NOTHING_LOST, Stage, staged
from tests.support.background import in_background

WORKERS, EDITORS = 8, 4
MOST_SECONDS = 300.0
EDITED_AT_ONCE = 20

# In the order of ids, as a program that knows its trade does; and some hold their locks for long.
_EDIT = """
UPDATE {table} SET created_at = created_at
WHERE id IN (
    SELECT id FROM {table} WHERE id >= gen_random_uuid() ORDER BY id LIMIT %s FOR UPDATE)"""


def play(arena: Arena, current: Round) -> Figures:
    """Work off one scheduler's rows with eight workers that come and go."""
    case = list(ROWS.values())[current.number]
    rows = int(current.size(100_000, 2_000))
    with staged(arena, case.scheduler, rows, apart=0, interval="200ms") as stage:
        with _editors(stage.database, case.table, current.dice):
            restarts, exits = _roll(stage, int(current.size(24, 4)))
        figures = stage.settle(MOST_SECONDS)
        found = stage.database.one(
            "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"
        )
        return {**figures, **found, "restarts": restarts, "other exits": exits}


def _roll(stage: Stage, least: int) -> tuple[int, int]:
    """Restart one after the other until all is done; how often, and how many ended badly."""
    workers = [stage.worker() for _ in range(WORKERS)]
    restarts, exits, ends_at = 0, 0, time.monotonic() + MOST_SECONDS
    try:
        while (restarts < least or stage.workload.undone()) and time.monotonic() < ends_at:
            place = restarts % WORKERS
            workers[place].wait_for("worker_started")
            exits += workers[place].stop() != 0
            workers[place] = stage.worker()
            restarts += 1
        for worker in workers:
            worker.wait_for("worker_started")
            exits += worker.stop() != 0
    finally:
        for worker in workers:
            worker.kill()
    return restarts, exits


@contextmanager
def _editors(database: TestDatabase, table: str, dice: Random) -> Iterator[None]:
    """Write to the table all the time, a few rows in each transaction."""
    done = threading.Event()

    def edit(pauses: Random) -> None:
        with database.connect(autocommit=False) as connection:
            while not done.is_set():
                connection.execute(_EDIT.format(table=table).encode(), (EDITED_AT_ONCE,))
                done.wait(pauses.choice((0, 0.01, 0.5)))
                connection.commit()
                done.wait(pauses.uniform(0, 0.05))

    with in_background(done, *(partial(edit, Random(dice.random())) for _ in range(EDITORS))):
        yield


CAMPAIGN = Campaign(
    name="rolling",
    promise="two machines and rolling restarts change nothing",
    faults="8 workers stopped in turn, 4 editors on the same rows; 100,000 due rows per scheduler",
    limits=(
        Limit("restarts", least=4),
        *NOTHING_LOST,
        *never("deadlocks", "other exits"),
        Limit("duplicates"),
    ),
    play=play,
    rounds=len(ROWS),
    small_rounds=1,
)
