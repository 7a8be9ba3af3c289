"""Healthy rows beside odd ones: values that no service writes, and rows that cannot be changed.

The model knows for every odd value whether its row is due. What a trigger refuses,
with a SQLSTATE that speaks of the server, or keeps as it is, has to be set aside.
"""

import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from random import Random

from devservers.child_processes import poll_until
from testing.arena import Arena
from testing.database import TestDatabase
from testing.workload import ROWS, Rows
from tests.chaos.campaign import Campaign, Figures, Limit, Round, never
from tests.chaos.data.untouched import as_they_are, touched
from tests.chaos.stage import NOTHING_LOST, Stage
from tests.support.odd_values import ALWAYS, FLAGS, NUMBERS, TEXTS, TIMES, make_odd

Value = str | None

CLAIMED = ("42501", "08006", "53100", "ZZ001")
KEPT = "kept"
BAD_ROWS = 10
DONE_SECONDS = 40.0

VALUES: Mapping[str, Sequence[Value]] = {
    "timestamp with time zone": TIMES,
    "bigint": NUMBERS,
    "boolean": FLAGS,
    "text": TEXTS,
    "character varying": TEXTS,
    "uuid": (None,),
}
_PAST = (ALWAYS, next(time for time in TIMES if time and time.endswith("BC")))
_THERE: Mapping[str, Sequence[Value]] = {"deleted_at": (None,)}
_OLD: Mapping[str, Sequence[Value]] = {"created_at": (None, *_PAST)}

# With which values a row is due; in a column that is not named, with any.
DUE_WITH: Mapping[str, Mapping[str, Sequence[Value]]] = {
    "post-publisher": {**_THERE, "published_at": _PAST, "status": ()},
    "link-expiration": {**_THERE, "expires_at": _PAST, "is_active": ()},
    "item-expiration": {**_THERE, "expiry_date": _PAST},
    "stock-level": _THERE,
    "notification-cleanup": _OLD,
    "message-cleanup": _OLD,
    "stream-closer": {**_THERE, "updated_at": (None, *_PAST), "is_active": ()},
    "webhook-retry": {**_THERE, "attempt_count": (None, NUMBERS[-1])},
    "webhook-cleanup": _OLD,
}

_NULLABLE = """
SELECT attname::text AS name, format_type(atttypid, NULL) AS type FROM pg_attribute
WHERE attrelid = %s::regclass AND attnum > 0 AND NOT attnotnull AND NOT attisdropped"""

_SETUP = """
CREATE TABLE bad_rows (id uuid PRIMARY KEY, kind text);
CREATE FUNCTION misbehave() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    row jsonb := CASE TG_OP WHEN 'DELETE' THEN to_jsonb(OLD) ELSE to_jsonb(NEW) END;
    row_id uuid := coalesce(row ->> 'subject_id', row ->> 'id');
    found_kind text := (SELECT kind FROM bad_rows WHERE bad_rows.id = row_id);
BEGIN
    IF found_kind = 'kept' THEN
        RETURN NULL;
    ELSIF found_kind IS NOT NULL THEN
        RAISE EXCEPTION 'no such luck' USING ERRCODE = found_kind;
    ELSIF TG_OP = 'DELETE' THEN
        RETURN OLD;
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER misbehave BEFORE INSERT OR UPDATE OR DELETE ON {table}
FOR EACH ROW EXECUTE FUNCTION misbehave()"""

_ASIDE = "SELECT row_id::text AS id, reason FROM toast_failed_rows"
_REASONS = {KEPT: "a trigger or rule keeps it as it is", "": ": no such luck"}


def play(arena: Arena, current: Round) -> Figures:
    """Make some due rows of one scheduler odd and some bad, and let workers do the others."""
    dice = current.dice
    case = dice.choice(list(ROWS.values()))
    name = case.scheduler.name
    with arena.database() as database:
        pairs = _pairs(database, case.table)
        dice.shuffle(pairs)
        pairs = pairs[: int(current.size(len(pairs), 20))]
        workload = Rows(case, database)
        workload.apart = dice.choice((0, 5))
        workload.fill(int(current.size(300, 60)) + len(pairs) + BAD_ROWS)
        rows = sorted(workload.due)
        dice.shuffle(rows)
        bad = _spoil(database, workload, case.table, rows[:BAD_ROWS])
        rests = set(workload.bystanders)
        for (column, value), row in zip(pairs, rows[BAD_ROWS:], strict=False):
            make_odd(database, case.table, column, row, value)
            if value not in DUE_WITH[name].get(column, (value,)):
                rests.add(row)
        workload.due -= {*bad, *rests}
        before = as_they_are(database, case, {*bad, *rests})
        stage = Stage(workload, arena.kafka.address)
        kills = _run(stage, dice, bad, workers=1 if workload.alerts else 2)
        return {
            **stage.judge(),
            **_aside(database, bad),
            "kills": kills,
            "healthy rows": len(workload.due),
            "odd values": len(pairs),
            "bad rows": len(bad),
            "touched": touched(before, as_they_are(database, case, {*bad, *rests})),
        }


def _pairs(database: TestDatabase, table: str) -> list[tuple[str, Value]]:
    """Every column that may be NULL with every odd value of its type."""
    return [
        (row["name"], value)
        for row in database.query(_NULLABLE, table)
        for value in VALUES[row["type"]]
    ]


def _spoil(
    database: TestDatabase, workload: Rows, table: str, rows: Iterable[str]
) -> dict[str, str]:
    """Set a trigger against these rows; returns what it does to each."""
    # An alert changes a table of ours only: no trigger of another owner undoes that.
    table, kinds = ("toast_alerts", CLAIMED) if workload.alerts else (table, (*CLAIMED, KEPT))
    bad = {row: kinds[number % len(kinds)] for number, row in enumerate(rows)}
    database.query(_SETUP.format(table=table))
    for row, kind in bad.items():
        database.query("INSERT INTO bad_rows VALUES (%s, %s)", row, kind)
    return bad


def _run(stage: Stage, dice: Random, bad: Mapping[str, str], workers: int) -> int:
    """Run workers, of which some are killed, until all is done; returns how many were.

    Where two meet at a bad row, it waits for the next pass, which for alerts is far away.
    """
    kills, workload = dice.randint(0, 2), stage.workload
    for _ in range(kills):
        with stage.worker():
            time.sleep(dice.uniform(0.3, 1.2))

    def is_done() -> bool:
        aside = workload.database.count("toast_failed_rows")
        return not workload.undone() and not workload.waiting() and aside >= len(bad)

    with ExitStack() as running:
        for _ in range(workers):
            running.enter_context(stage.worker())
        poll_until(is_done, DONE_SECONDS, 0.1)
    return kills


def _aside(database: TestDatabase, bad: Mapping[str, str]) -> Figures:
    """Whether those that are bad, and no others, are set aside with their reasons."""
    reasons = {row["id"]: row["reason"] for row in database.query(_ASIDE)}
    known = sum(
        _REASONS[kind if kind == KEPT else ""] in reasons.get(row, "") for row, kind in bad.items()
    )
    return {"not set aside": len(bad) - known, "set aside wrongly": len(set(reasons) - set(bad))}


CAMPAIGN = Campaign(
    name="odd-rows",
    promise="odd rows are done, bad ones set aside, and no other row suffers",
    faults="NULL, infinity, years BC and 12001, numbers at their limits in every column that may "
    f"be NULL; {BAD_ROWS} rows that a trigger refuses with {', '.join(CLAIMED)}, or keeps in "
    "silence; workers killed at random",
    limits=(
        Limit("kills"),
        Limit("healthy rows", least=80),
        Limit("odd values", least=25),
        Limit("bad rows", least=20),
        *NOTHING_LOST,
        *never("not set aside", "set aside wrongly", "touched"),
        Limit("duplicates"),
    ),
    play=play,
    rounds=60,
    small_rounds=2,
)
