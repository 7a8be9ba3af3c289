"""No row waits behind those that can never qualify, however many there are."""

from __future__ import annotations

import statistics
import time
from datetime import UTC, datetime

from chaos.arena import Arena
from chaos.campaign import Campaign, Figures, Limit, Round
from chaos.world import BYSTANDERS, ROWS
from database import TestDatabase
from passes import run_pass
from scheduler_rows import Case, Row

REPETITIONS = 5


def play(arena: Arena, current: Round) -> Figures:
    """One due row behind a million others, and one alone."""
    case = list(ROWS.values())[current.number]
    with arena.database() as database:
        alone = _seconds(database, case)[1]
    with arena.database() as database:
        others = (
            case.stays[BYSTANDERS[case.scheduler.name]]
            if (case.scheduler.name in BYSTANDERS)
            else Row(case.table)
        )
        others.insert_many(database, int(current.size(1_000_000, 5_000)), case.unique)
        _index(database, case)
        missed, behind = _seconds(database, case)
    indexed = bool(_indexes(case))
    more = 1000 * (behind - alone)
    return {
        "not done in the pass": missed,
        "longer with an index" if indexed else "longer without one": more,
    }


def _seconds(database: TestDatabase, case: Case) -> tuple[int, float]:
    """How many due rows a pass has missed, one at a time, and its median time."""
    taken, missed = [], 0
    for _ in range(REPETITIONS):
        next(iter(case.due.values())).insert(database)
        database.query(f"ANALYZE {case.table}")
        began = time.monotonic()
        result = run_pass(database, case.scheduler, now=datetime.now(UTC))
        taken.append(time.monotonic() - began)
        missed += result.processed != 1
    return missed, statistics.median(taken)


def _indexes(case: Case) -> list[str]:
    """The indexes that the scheduler's pass profits from, as `toast check` proposes them."""
    return [
        f"CREATE INDEX ON {access.table.name} ({', '.join(index.columns)})"
        + (f" WHERE {index.where}" if index.where else "")
        for access in case.scheduler.tables
        for index in access.profits
    ]


def _index(database: TestDatabase, case: Case) -> None:
    for index in _indexes(case):
        database.query(index)
    database.query("VACUUM ANALYZE")


CAMPAIGN = Campaign(
    name="starvation",
    promise="no row starves",
    faults="a million rows that never qualify before one that does, for nine schedulers",
    limits=(
        Limit("not done in the pass", most=0),
        Limit("longer with an index", most=200, unit=" ms", merge=max, at_full_size=True),
        Limit("longer without one", unit=" ms", merge=max),
    ),
    play=play,
    rounds=len(ROWS),
    small_rounds=3,
)
