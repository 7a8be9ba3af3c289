"""Alerts about rows of live tables that we may not change: what has been said is remembered.

An alert is raised when it becomes true, again when its facts change, again once per interval
while it stays true, and not again because a process was restarted or a second machine looks.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from common.config import Variable
from common.scheduler import NOTHING, Pass, PassResult, Preview
from common.walk import Walk

# An alert that stays true is raised again when this share of the interval has passed: a pass
# that starts a little early must not put it off by a whole interval.
_REPEAT_AFTER = 0.9

# SQL condition over a row of the CTE that remember() was given: it is among its answer, the CTE
# ``raised``. A condition that IS TRUE is no join to the planner, which takes a CTE, or a table
# that is not analysed yet, for a handful of rows, and would compare every row with every other.
IS_RAISED = "(id IN (SELECT subject_id FROM raised)) IS TRUE"


def is_news(subject: str, facts: str) -> str:
    """SQL condition: of this subject these facts have not been said, or not within the interval.

    A subquery that gives a value is looked up in the index row by row. A join, the planner would
    do by reading every alert there is, for each batch.
    """
    return f"""(
        SELECT alert.facts = {facts} AND alert.raised_at > %(repeat_before)s
        FROM toast_alerts AS alert
        WHERE alert.scheduler = %(scheduler)s AND alert.subject_id = {subject}
    ) IS NOT TRUE"""


def remember(rows: str) -> str:
    """SQL that remembers an alert for each ``id`` and ``facts`` of the CTE ``rows``.

    Returns the ``subject_id`` of those to announce. Where two machines raise the same alert,
    the second one waits for the first, finds it said, and returns nothing; both go in order
    of ids, or they could wait for each other.
    """
    return f"""
    INSERT INTO toast_alerts AS alert (scheduler, subject_id, facts, raised_at)
    SELECT %(scheduler)s, id, facts, %(now)s FROM {rows} ORDER BY id
    ON CONFLICT (scheduler, subject_id) DO UPDATE
        SET facts = excluded.facts, raised_at = excluded.raised_at
        WHERE alert.facts <> excluded.facts OR alert.raised_at <= %(repeat_before)s
    RETURNING subject_id"""


def _forget(still_true: str) -> tuple[str, str]:
    """The two statements of the walk that forgets alerts which are no longer true."""
    # What this pass has raised is true, and need not be looked at. IS TRUE is as in IS_RAISED.
    is_over = f"""
        alert.scheduler = %(scheduler)s AND alert.raised_at < %(now)s
        AND (NOT EXISTS ({still_true})) IS TRUE
        AND alert.subject_id <> ALL (%(failed_rows)s::uuid[])"""
    due = f"SELECT subject_id, facts FROM toast_alerts AS alert WHERE {is_over}"
    batch = f"""
    WITH is_over AS (
        SELECT ctid FROM toast_alerts AS alert
        WHERE ctid >= %(first)s::tid AND ctid < %(end)s::tid AND {is_over}
        FOR UPDATE SKIP LOCKED
    ), forgotten AS (
        DELETE FROM toast_alerts WHERE ctid = ANY (ARRAY(SELECT ctid FROM is_over))
        RETURNING 1
    )
    SELECT (SELECT count(*) FROM is_over) AS found, count(*) AS processed FROM forgotten"""
    return due, batch


def _forgotten(done: PassResult) -> PassResult:
    """What the walk that forgets did, by its own name: it has raised nothing."""
    return replace(done, processed=0, details={"forgotten": done.processed})


class Alerts:
    """One scheduler's alerts over one live table.

    ``due``, ``batch`` and what collects are those of a Walk: which alerts are news, and the
    statement that remembers and announces them. ``still_true`` is SQL that selects the subject of
    ``alert`` where it still holds. All may use the parameter ``repeat_before``.
    """

    def __init__(
        self,
        *,
        table: str,
        due: str,
        batch: str,
        still_true: str,
        interval: Variable[Any],
        collect: tuple[str, ...] = (),
        collected: str = "",
        parameters: Callable[[Pass], dict[str, Any]] = lambda current: {},
    ) -> None:
        self._interval = interval
        self._more = parameters
        forget_due, forget_batch = _forget(still_true)
        self._raise = Walk(
            table=table,
            due=due,
            batch=batch,
            parameters=self._parameters,
            collect=collect,
            collected=collected,
            urgent=False,
        )
        self._forget = Walk(
            table="toast_alerts",
            due=forget_due,
            batch=forget_batch,
            parameters=self._parameters,
            id_column="subject_id",
        )

    def run(self, current: Pass) -> PassResult:
        """Raise what is news, then forget what is over, so that it may come again."""
        raised = self._raise.run(current)

        def committed(done: PassResult = NOTHING, /, *, share: float | None = None) -> None:
            current.committed(_forgotten(done), share=share)

        return raised + _forgotten(self._forget.run(replace(current, committed=committed)))

    def preview(self, current: Pass) -> Preview:
        """Say which alerts would be raised."""
        return self._raise.preview(current)

    def backlog(self, current: Pass, most: int) -> int:
        """Count the alerts that would be raised, no further than ``most``."""
        return self._raise.backlog(current, most)

    def _parameters(self, current: Pass) -> dict[str, Any]:
        repeat_before = current.now - current.settings[self._interval] * _REPEAT_AFTER
        return {"repeat_before": repeat_before, **self._more(current)}
