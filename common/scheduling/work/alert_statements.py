"""The SQL that finds and stores alerts to raise: rows of toast_alerts, and their events."""

from collections.abc import Mapping

from common.events.envelope import Event
from common.scheduling.due import lateness

# Both inserts are in order of ids, to avoid a deadlock of two machines.
_INSERT = """
    INSERT INTO toast_alerts AS alert (scheduler, subject_id, facts, raised_at)
    SELECT %(scheduler)s, id, facts, CASE WHEN {is_announced} THEN %(now)s ELSE {quiet} END
    FROM due"""

# True if the alert of a ``candidate`` was raised within the interval with the same facts, false if
# earlier or with others, NULL if it has none. A scalar subquery uses the index, row by row; for a
# join the planner would read all alerts in each batch.
IS_CURRENT = """(
            SELECT alert.facts = candidate.facts AND alert.raised_at > %(repeat_before)s
            FROM toast_alerts AS alert
            WHERE alert.scheduler = %(scheduler)s AND alert.subject_id = candidate.id
        )"""

# ON CONFLICT costs one more lookup for each alert, so new alerts do without it. Between two ticks
# there are few, but other machines wake at the same moment to raise them.
_IS_PLAIN = "is_current IS NULL AND NOT %(between_ticks)s"

# When an alert was raised that is not announced: it is not repeated until its facts change.
QUIET = "timestamptz 'infinity'"

# An alert that is raised again has been due for as long as it is true: it is not late.
_IS_FIRST = "is_current IS NULL OR since > %(repeat_before)s"


def to_raise(rows: str) -> str:
    """SQL for the alerts to raise: all columns of the query ``rows``, and ``is_current``.

    An ``id`` is to be raised if no row of toast_alerts has its ``facts``, or none raised within the
    interval. ``is_current`` is NULL if the id has no row yet, otherwise false.
    """
    # OFFSET 0 prevents a second lookup.
    return f"""
    SELECT * FROM (
        SELECT candidate.*, {IS_CURRENT} AS is_current
        FROM ({rows}) AS candidate
        OFFSET 0
    ) AS looked_up
    WHERE is_current IS NOT TRUE"""


def raising(rows: str, kinds: Mapping[str, tuple[str, Event]], announced: str, since: str) -> str:
    """The statement that stores the alerts of the query ``rows``, and publishes those that are
    ``announced``, a condition. They became due at ``since``, SQL; "": not known.

    ``kinds`` has, by the name of each count, which rows it counts, in SQL, and their event.

    If two machines raise the same alert, the second waits for the first. A repeated alert is then
    not published again. A new alert makes the statement of a tick fail with a UniqueViolation: run
    it again, and the alert is no longer due.
    """
    insert = _INSERT.format(is_announced=announced, quiet=QUIET)
    kinds_of = "".join(
        f""", {name} AS (SELECT * FROM raised WHERE {condition}
), announced_{name} AS ({event.insert(f"{name} WHERE {announced}")})"""
        for name, (condition, event) in kinds.items()
    )
    events = " + ".join(f"(SELECT count(*) FROM announced_{name})" for name in kinds)
    counts = "".join(f",\n       (SELECT count(*) FROM {name}) AS {name}" for name in kinds)
    if since:
        timed = f"(SELECT is_current, {since} AS since FROM due) AS timed"
        counts += f",\n       {lateness.sql(timed, _IS_FIRST)} AS late"
    return f"""
WITH due AS ({to_raise(rows)}
), first AS ({insert} WHERE {_IS_PLAIN} ORDER BY id
), repeated AS ({insert} WHERE NOT ({_IS_PLAIN}) ORDER BY id
    ON CONFLICT (scheduler, subject_id) DO UPDATE
        SET facts = excluded.facts, raised_at = excluded.raised_at
        WHERE alert.facts <> excluded.facts OR alert.raised_at <= %(repeat_before)s
    RETURNING subject_id
), raised AS (
    SELECT * FROM due WHERE ({_IS_PLAIN}) OR id IN (SELECT subject_id FROM repeated)
){kinds_of}
SELECT (SELECT count(*) FROM due) AS found,
       (SELECT count(*) FROM raised) AS processed,
       {events} AS events{counts}"""
