"""No row waits behind those that can never qualify, however many there are."""

import statistics
import time
from collections.abc import Mapping
from datetime import UTC, datetime

from common.scheduling.scheduler import Scheduler
from devservers.standins.sse import MAX_CLIENTS
from testing.arena import Arena
from testing.database import TestDatabase
from testing.passes import NOW, run_pass
from testing.scheduler_cases.webhook import delivery
from testing.scheduler_rows import Case, Row
from testing.workload import BYSTANDERS, ROWS
from tests.chaos.campaign import Campaign, Figures, Limit, Round
from tests.chaos.remote_workloads import MOST_ATTEMPTS, RECEIVERS, REMOTE, Clients, RemoteWorkload
from workers.sse import client_cleanup

REPETITIONS = 5


# What a scheduler that calls others must step over, and the column that tells copies apart.
STEPPED_OVER: Mapping[str, tuple[Row, str]] = {
    "notification-retry": (
        Row("notification_notifications", {"status": "failed", "attempt_count": MOST_ATTEMPTS}),
        "event_id",
    ),
    "webhook-delivery": (delivery(status="success"), "event_id"),
    "character-sync": (Row("characters", {"deleted_at": NOW}), "name"),
    "guild-sync": (Row("guilds", {"deleted_at": NOW}), "name"),
}
# Those that call others. client-cleanup steps over clients, which are no rows.
CALLING = (*STEPPED_OVER, client_cleanup.SCHEDULER.name)


def play(arena: Arena, current: Round) -> Figures:
    """One due row behind a million others, and one alone."""
    rows = int(current.size(1_000_000, 5_000))
    if current.number >= len(ROWS):
        return _remote(arena, CALLING[current.number - len(ROWS)], rows)
    case = list(ROWS.values())[current.number]
    with arena.database() as database:
        alone = _seconds(database, case)[1]
    with arena.database() as database:
        name = case.scheduler.name
        others = case.stays[BYSTANDERS[name]] if name in BYSTANDERS else Row(case.table)
        others.insert_many(database, rows, case.unique)
        _index(database, case.scheduler)
        missed, behind = _seconds(database, case)
    return _figures(case.scheduler, missed, behind - alone)


def _remote(arena: Arena, name: str, rows: int) -> Figures:
    """The same for a scheduler that calls others."""
    remote, seconds, missed = REMOTE[name], [], 0
    for others in (0, rows):
        with arena.database() as database, remote.open(database) as workload:
            if others:
                _crowd(workload, others)
            workload.fill(RECEIVERS)
            began = time.monotonic()
            now = datetime.now(UTC)
            result = run_pass(database, remote.scheduler, now=now, **workload.settings)
            seconds.append(time.monotonic() - began)
            missed += RECEIVERS - result.processed
    return _figures(remote.scheduler, missed, seconds[1] - seconds[0])


def _crowd(workload: RemoteWorkload, others: int) -> None:
    """Let so many be there that the scheduler must step over."""
    if isinstance(workload, Clients):
        workload.connect_active(min(others, MAX_CLIENTS))
        return
    row, unique = STEPPED_OVER[workload.scheduler.name]
    row.insert_many(workload.database, others, unique)
    _index(workload.database, workload.scheduler)


def _figures(scheduler: Scheduler, missed: int, longer: float) -> Figures:
    kind = "longer with an index" if _indexes(scheduler) else "longer without one"
    return {"not done in the pass": missed, kind: 1000 * longer}


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


def _indexes(scheduler: Scheduler) -> list[str]:
    """The indexes that the scheduler's pass profits from, as `toast check` proposes them."""
    return [
        f"CREATE INDEX ON {access.table.name} ({', '.join(index.columns)})"
        + (f" WHERE {index.where}" if index.where else "")
        for access in scheduler.tables
        for index in access.profits
    ]


def _index(database: TestDatabase, scheduler: Scheduler) -> None:
    for index in _indexes(scheduler):
        database.query(index)
    database.query("VACUUM ANALYZE")


CAMPAIGN = Campaign(
    name="starvation",
    promise="no row starves",
    faults="a million rows that never qualify before one that does, and as many SSE clients as "
    "there can be before one that is quiet",
    limits=(
        Limit("not done in the pass", most=0),
        Limit("longer with an index", most=200, unit=" ms", merge=max, at_full_size=True),
        Limit("longer without one", unit=" ms", merge=max),
    ),
    play=play,
    rounds=len(ROWS) + len(CALLING),
    small_rounds=3,
)
