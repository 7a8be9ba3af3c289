"""Live tables that are partitioned, or that others inherit from, and workers that are killed.

A ctid is unique in one heap only: here due rows and rows that are not lie at the same places of
different heaps, and a worker that takes one for the other changes what it must not.
"""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from random import Random

from devservers.child_processes import PATIENCE, poll_until
from testing.arena import Arena
from testing.database import TestDatabase
from testing.processes import Process
from testing.workload import DUE_BY, ROWS, Rows, Workload
from tests.chaos.campaign import Campaign, Figures, Limit, Round
from tests.chaos.data.untouched import as_they_are, touched
from tests.chaos.stage import NOTHING_LOST, Stage
from tests.support.odd_tables import give_heirs, make_anew

SHAPES = ("inherited", "by hash", "by time")
HEAPS = 3
# The few become due one after the other while workers are killed. The many are due at once, too
# many for one statement, so that the table is gone through heap by heap.
FEW, MANY = 150, 12_000
APART = {FEW: 30.0, MANY: 0.01}
NOT_DUE = 60
LIVES = 6
# On a busy machine a worker is rarely killed in the middle: up to so many times the lives until one
# is.
MOST_LIVES = 4
CATCH_UP_SECONDS = 30.0

# Where a worker may be killed on purpose; otherwise it is at a random moment. One pass does the
# many in a second, so at random it is rarely killed in the middle of them.
PLACES = {FEW: ("", "", "statement", "committed"), MANY: ("", "statement", "committed")}

# The part of a table that one heap gets; the ids are random, so due rows are mixed with others.
_DEAL = """
INSERT INTO {heap} SELECT whole.* FROM parts.{table}_before AS whole
JOIN (SELECT id, row_number() OVER (ORDER BY id) AS place FROM parts.{table}_before) AS dealt
    ON dealt.id = whole.id
WHERE {condition} ORDER BY place"""

_LIMITS = """
SELECT percentile_disc(ARRAY[0.33, 0.67]) WITHIN GROUP (ORDER BY {key})::text[] AS limits
FROM {table}"""

_SAME_PLACES = """
SELECT count(DISTINCT due.id) FROM {table} AS due
JOIN {table} AS other ON other.ctid = due.ctid AND other.tableoid <> due.tableoid
WHERE due.id = ANY (%s::uuid[]) AND other.id = ANY (%s::uuid[])"""


def play(arena: Arena, current: Round) -> Figures:
    """Let workers do one scheduler's rows in a table of another shape, and kill them meanwhile."""
    dice = current.dice
    case = dice.choice(list(ROWS.values()))
    # At the small size both, one after the other.
    rows = dice.choice((FEW, MANY)) if current.full else (FEW, MANY)[current.number % 2]
    shape = SHAPES[current.number % len(SHAPES)]
    with arena.database() as database:
        workload = Rows(case, database)
        workload.apart, workload.most_bystanders = APART[rows], NOT_DUE
        workload.fill(rows)
        heaps = list(_reshape(database, workload, case.table, shape))
        if not workload.alerts:
            for heap in heaps:
                # A row that moves to another partition is deleted there, and inserted here.
                workload.watch(heap, "UPDATE OR DELETE")
        found = database.one(
            _SAME_PLACES.format(table=case.table), list(workload.due), list(workload.bystanders)
        )
        before = as_they_are(database, case, workload.bystanders)
        stage = Stage(workload, arena.kafka.address)
        killed = _kill(stage, dice, PLACES[rows], int(current.size(LIVES, LIVES // 2)))
        return {
            **killed,
            **stage.settle(CATCH_UP_SECONDS, workers=2),
            "due beside another at its place": found["count"],
            "others touched": touched(before, as_they_are(database, case, workload.bystanders)),
        }


def _reshape(database: TestDatabase, workload: Rows, table: str, shape: str) -> Iterator[str]:
    """Make the table anew in another shape with its rows; yields what a trigger must be set on."""
    deal = _DEAL.format(heap="{heap}", table=table, condition="{condition}")
    if shape == "inherited":
        for number, heap in enumerate(give_heirs(database, table, heirs=HEAPS - 1)):
            condition = f"place % {HEAPS} = {number}"
            database.query(deal.format(heap=heap, condition=condition))
            yield heap
        return
    key, bounds = _key(database, workload, table) if shape == "by time" else ("id", _hashes())
    kind = "HASH" if key == "id" else "RANGE"
    make_anew(database, table, f"PARTITION BY {kind} ({key})")
    for number, bound in enumerate(bounds):
        database.query(f"CREATE TABLE parts.{table}_{number} PARTITION OF {table} {bound}")
    database.query(deal.format(heap=table, condition="true"))
    yield table


def _hashes() -> Sequence[str]:
    return [f"FOR VALUES WITH (MODULUS {HEAPS}, REMAINDER {rest})" for rest in range(HEAPS)]


def _key(database: TestDatabase, workload: Rows, table: str) -> tuple[str, Sequence[str]]:
    """The time by which rows become due, or else when they were created; with its partitions."""
    key, _ = DUE_BY.get(workload.scheduler.name, ("created_at", ""))
    if workload.scheduler.name not in DUE_BY:
        database.query(f"UPDATE {table} SET created_at = now() - random() * interval '60 days'")
    found = database.one(_LIMITS.format(table=table, key=key))
    first, second = found["limits"]
    return key, (
        f"FOR VALUES FROM (MINVALUE) TO ('{first}')",
        f"FOR VALUES FROM ('{first}') TO ('{second}')",
        f"FOR VALUES FROM ('{second}') TO (MAXVALUE)",
        "DEFAULT",  # for NULL
    )


def _kill(stage: Stage, dice: Random, places: Sequence[str], lives: int) -> dict[str, float]:
    """Start a worker so many times, at times with another beside it, and kill it."""
    workload = stage.workload
    kills = in_the_middle = 0
    for life in range(MOST_LIVES * lives):
        if life >= lives and in_the_middle:
            break
        place = dice.choice(places)
        armed = f"{place}:{dice.randint(1, 3)}:{dice.choice((0, 0.002, 0.01))}" if place else ""
        with ExitStack() as running:
            for _ in range(dice.randint(1, 2)):
                worker = running.enter_context(stage.worker(TOAST_FAILPOINT=armed))
                kills += 1
            _wait(worker, dice, workload)
        in_the_middle += 0 < workload.undone() < len(workload.due)
    return {"kills": kills, "kills in the middle": in_the_middle}


def _wait(worker: Process, dice: Random, workload: Workload) -> None:
    """Until it has ended, or for a random time of its work, in one of four cases of its start.

    Its work begins with the first row that is done, by it or before: on a busy machine the start
    alone takes longer than the random time.
    """

    def has_begun() -> bool:
        started = bool(worker.records("scheduler_started"))
        return worker.ended is not None or (started and workload.undone() < len(workload.due))

    poll_until(has_begun, dice.choice((0.3, PATIENCE, PATIENCE, PATIENCE)), 0.1)
    poll_until(lambda: worker.ended is not None, dice.uniform(0, 0.8))


CAMPAIGN = Campaign(
    name="odd-tables",
    promise="in a partitioned or inherited table exactly the due rows are done",
    faults=f"partitions by hash and by time, tables that inherit; {FEW} or {MANY:,} due rows, "
    f"{NOT_DUE} that are not at the same places; {LIVES} times one worker or two killed at random",
    limits=(
        Limit("kills", least=4),
        Limit("kills in the middle", least=1),
        Limit("due beside another at its place", least=20),
        *NOTHING_LOST,
        Limit("others touched", most=0),
        Limit("duplicates"),
    ),
    play=play,
    rounds=60,
    small_rounds=3,
)
