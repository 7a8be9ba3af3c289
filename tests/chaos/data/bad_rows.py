"""One bad row stops no other: 50 of eight kinds among 10,000 due links."""

import math
import statistics
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta

from psycopg.rows import DictRow

from common.database.session import Connection
from common.scheduling.scheduler import PassResult
from testing.arena import Arena
from testing.database import TestDatabase
from testing.passes import run_pass
from testing.workload import ROWS, Rows
from tests.chaos.campaign import Campaign, Figures, Limit, Round, never
from workers.link import link_expiration

BAD_ROWS = 50
LAST_PASS = 3
REPETITIONS = 5

# What happens when a row of that kind is changed; the others have errors of their own.
KINDS = {
    "a trigger raises": "RAISE EXCEPTION 'refused'",
    "huge text": "PERFORM repeat('huge text', 1000000000)",
    "out of range": "PERFORM 32768::smallint",
    "NUL": r"PERFORM convert_from('\x00'::bytea, 'UTF8')",
    "a unique value twice": "NEW.short_code := 'taken'",
    "a constraint is broken": "NEW.title := 'not allowed'",
    "undone in silence": "RETURN NULL",
}
LOCKED = "locked by another session"

_SETUP = """
CREATE TABLE bad_rows (id uuid PRIMARY KEY, kind text);
CREATE FUNCTION misbehave() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    found_kind text := (SELECT kind FROM bad_rows WHERE bad_rows.id = NEW.id);
BEGIN
    {branches}
    RETURN NEW;
END $$;
CREATE TRIGGER misbehave BEFORE UPDATE ON link_links FOR EACH ROW EXECUTE FUNCTION misbehave();
ALTER TABLE link_links ADD CONSTRAINT allowed CHECK (title <> 'not allowed')"""

_BRANCH = "IF found_kind = '{kind}' THEN {action}; END IF;"


# As each trial does at the least.
_TRIAL = (
    "SAVEPOINT trial",
    "UPDATE link_links SET is_active = true WHERE ctid = '(0,1)'",
    "RELEASE trial",
)

# The passes that are timed, each over the same due rows.
FOUND, LATER, AGAIN = "when they are found", "from then on", "when they are tried again"

# A pass without bad rows, and the least trials that find them.
TIMES_THE_FLOOR = "times a pass without them and the least trials that find them"


def play(arena: Arena, current: Round) -> Figures:
    """The same passes without bad rows and with them, in turn; then what became of the bad."""
    rows = int(current.size(10_000, 1_000))
    clean: list[Mapping[str, float]] = []
    dirty: list[Mapping[str, float]] = []
    trials: list[float] = []
    figures: Figures = {}
    for _ in range(int(current.size(REPETITIONS, 1))):
        with arena.database() as database:
            seconds, _ = _time_passes(database, rows, 0)
            clean.append(seconds)
            trials.append(_least_trials(database, rows))
        with arena.database() as database:
            seconds, figures = _time_passes(database, rows, BAD_ROWS)
            dirty.append(seconds)
    slower = {
        f"slower {each}": 100 * (_median(each, dirty) / _median(each, clean) - 1)
        for each in (FOUND, LATER, AGAIN)
    }
    floor = _median(FOUND, clean) + statistics.median(trials)
    return {**figures, **slower, TIMES_THE_FLOOR: _median(FOUND, dirty) / floor}


def _least_trials(database: TestDatabase, rows: int) -> float:
    """How long it takes to ask yes or no as often as tells any 50 rows from the others."""
    with database.connect(autocommit=False) as connection:
        began = time.monotonic()
        for _ in range(round(math.log2(math.comb(rows, BAD_ROWS)))):
            for statement in _TRIAL:
                connection.execute(statement, prepare=True)
        return time.monotonic() - began


def _time_passes(
    database: TestDatabase, rows: int, bad: int
) -> tuple[Mapping[str, float], Figures]:
    """How long each pass takes, and what became of the bad rows.

    The rows become due again before the later ones; each change leaves dead rows, with bad ones
    among them or without.
    """
    workload = _filled(database, rows, bad)
    seconds = {}
    with _locking(database) as holder:
        seconds[FOUND] = _timed(workload)
        figures = _judge(database, workload)
        holder.rollback()
    for name, later in ((LATER, timedelta(0)), (AGAIN, timedelta(hours=1))):
        database.query("UPDATE link_links SET is_active = true WHERE NOT is_active")
        seconds[name] = _timed(workload, later)
    return seconds, figures


def _median(name: str, rounds: Sequence[Mapping[str, float]]) -> float:
    return statistics.median(seconds[name] for seconds in rounds)


def _filled(database: TestDatabase, rows: int, bad: int) -> Rows:
    workload = Rows(ROWS[link_expiration.SCHEDULER.name], database)
    workload.apart = 0
    workload.fill(rows)
    database.query("DROP TRIGGER chaos_note ON link_links")
    branches = "\n    ".join(
        _BRANCH.format(kind=kind, action=action) for kind, action in KINDS.items()
    )
    database.query(_SETUP.format(branches=branches).replace("%", "%%"))
    database.insert("link_links", short_code="taken")
    kinds = [*KINDS, LOCKED]
    for number, row in enumerate(sorted(workload.due)[:bad]):
        database.query("INSERT INTO bad_rows VALUES (%s, %s)", row, kinds[number % len(kinds)])
    database.query("VACUUM ANALYZE link_links")
    return workload


def _locking(database: TestDatabase) -> Connection:
    """A connection that holds the rows to be locked."""
    connection = database.connect(autocommit=False)
    connection.execute(
        "SELECT 1 FROM link_links WHERE id IN (SELECT id FROM bad_rows WHERE kind = %s) FOR UPDATE",
        (LOCKED,),
    )
    return connection


def _run(workload: Rows, later: timedelta = timedelta(0)) -> PassResult:
    return run_pass(workload.database, workload.scheduler, now=datetime.now(UTC) + later)


def _timed(workload: Rows, later: timedelta = timedelta(0)) -> float:
    began = time.monotonic()
    _run(workload, later)
    return time.monotonic() - began


def _judge(database: TestDatabase, workload: Rows) -> Figures:
    """What one pass has left undone, and what the next ones make of the bad rows."""
    bad = _bad(database)
    left = workload.undone()
    for _ in range(LAST_PASS - 1):
        _run(workload)
    reasons = database.query("SELECT row_id::text AS id FROM toast_failed_rows WHERE reason <> ''")
    aside = {row["id"] for row in reasons}
    expected = {row["id"] for row in bad if row["kind"] != LOCKED}
    return {
        "others left undone": max(0, left - len(bad)),
        "not set aside": len(expected - aside),
        "set aside wrongly": len(aside - expected),
    }


def _bad(database: TestDatabase) -> list[DictRow]:
    return database.query("SELECT id::text AS id, kind FROM bad_rows")


CAMPAIGN = Campaign(
    name="bad-rows",
    promise="one bad row stops no other",
    faults=f"{BAD_ROWS} among 10,000, of eight kinds: {', '.join((*KINDS, LOCKED))}",
    limits=(
        *never("others left undone", "not set aside", "set aside wrongly"),
        Limit(f"slower {FOUND}", unit=" %"),
        Limit(TIMES_THE_FLOOR, most=2, at_full_size=True),
        Limit(f"slower {LATER}", most=5, unit=" %", at_full_size=True),
        Limit(f"slower {AGAIN}", most=20, unit=" %", at_full_size=True),
    ),
    play=play,
)
