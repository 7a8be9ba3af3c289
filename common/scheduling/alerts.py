"""Alerts about rows of live tables that we may not change: what has been said is remembered.

An alert is raised when it becomes true, again when its facts change, again once per interval
while it stays true, and not again because a process was restarted or a second machine looks.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any

from common.config import Variable
from common.database import ctid
from common.scheduling.batched_change import BatchedChange
from common.scheduling.scheduler import NOTHING, Pass, PassResult, Preview

# An alert that stays true is raised again when this share of the interval has passed: a pass
# that starts a little early must not put it off by a whole interval.
_REPEAT_AFTER = 0.9


def alerts_to_raise(rows: str) -> str:
    """SQL for the alerts to raise: all columns of the query ``rows``, and ``is_current``.

    An ``id`` is to be raised if no row of toast_alerts has its ``facts``, or none raised within the
    interval. ``is_current`` is NULL where the id has no row there yet, and false otherwise.
    """
    # A subquery that gives a value is looked up in the index row by row; a join, the planner would
    # do by reading every alert there is, for each batch. OFFSET 0 keeps it from looking up twice.
    return f"""
    SELECT * FROM (
        SELECT candidate.*, (
            SELECT alert.facts = candidate.facts AND alert.raised_at > %(repeat_before)s
            FROM toast_alerts AS alert
            WHERE alert.scheduler = %(scheduler)s AND alert.subject_id = candidate.id
        ) AS is_current
        FROM ({rows}) AS candidate
        OFFSET 0
    ) AS looked_up
    WHERE is_current IS NOT TRUE"""


def store_alerts(rows: str) -> str:
    """CTEs that store the alerts of the query ``rows``: ``due``, and ``raised``, to announce.

    Where two machines raise the same alert, the second one waits for the first. An alert that had
    been raised before is then not announced again. One that is new makes the statement fail with
    a UniqueViolation: run it again, and the alert is no longer to be raised.
    """
    # ON CONFLICT looks into the index once more for each alert, so what is new does without it.
    # Both go in order of ids, or two machines could wait for each other.
    insert = """
    INSERT INTO toast_alerts AS alert (scheduler, subject_id, facts, raised_at)
    SELECT %(scheduler)s, id, facts, %(now)s FROM due"""
    return f"""
due AS ({alerts_to_raise(rows)}
), first AS ({insert} WHERE is_current IS NULL ORDER BY id
), repeated AS ({insert} WHERE NOT is_current ORDER BY id
    ON CONFLICT (scheduler, subject_id) DO UPDATE
        SET facts = excluded.facts, raised_at = excluded.raised_at
        WHERE alert.facts <> excluded.facts OR alert.raised_at <= %(repeat_before)s
    RETURNING subject_id
), raised AS (
    SELECT * FROM due WHERE is_current IS NULL OR id IN (SELECT subject_id FROM repeated)
)"""


def _forget(still_true: str) -> tuple[str, str]:
    """The two statements of the walk that forgets alerts which are no longer true."""
    # What this pass has raised is true, and need not be looked at. A condition that IS TRUE is no
    # join to the planner, which takes a table that is not analysed yet for a handful of rows, and
    # would compare every row with every other.
    is_over = f"""
        alert.scheduler = %(scheduler)s AND alert.raised_at < %(now)s
        AND (NOT EXISTS ({still_true})) IS TRUE
        AND alert.subject_id <> ALL (%(failed_rows)s::uuid[])"""
    due = f"SELECT subject_id, facts FROM toast_alerts AS alert WHERE {is_over}"
    batch = f"""
    WITH is_over AS (
        SELECT subject_id, ctid FROM toast_alerts AS alert WHERE {ctid.in_range()} AND {is_over}
        FOR UPDATE SKIP LOCKED
    ), forgotten AS (
        DELETE FROM toast_alerts AS alert
        WHERE {ctid.same_rows("is_over", "subject_id")} AND {is_over}
        RETURNING 1
    )
    SELECT (SELECT count(*) FROM is_over) AS found, count(*) AS processed FROM forgotten"""
    return due, batch


def _forgotten(done: PassResult) -> PassResult:
    """What the walk that forgets did, by its own name: it has raised nothing."""
    return replace(done, processed=0, details={"forgotten": done.processed})


class Alerts:
    """One scheduler's alerts over one live table.

    ``due``, ``batch`` and what collects are those of a BatchedChange: the alerts to raise, and the
    statement that stores and announces them. ``still_true`` is SQL that selects the subject of
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
        collecting: Mapping[str, str] = MappingProxyType({}),
        parameters: Callable[[Pass], dict[str, Any]] = lambda current: {},
    ) -> None:
        self._interval = interval
        self._more = parameters
        forget_due, forget_batch = _forget(still_true)
        self._raise = BatchedChange(
            table=table,
            due=due,
            batch=batch,
            parameters=self._parameters,
            collect=collect,
            collected=collected,
            collecting=collecting,
            urgent=False,
        )
        self._forget = BatchedChange(
            table="toast_alerts",
            due=forget_due,
            batch=forget_batch,
            parameters=self._parameters,
            id_column="subject_id",
        )

    def run(self, current: Pass) -> PassResult:
        """Raise what is alerts_to_raise, then forget what is over, so that it may come again."""
        raised = self._raise.run(current)

        def report_progress(done: PassResult = NOTHING, /, *, share: float | None = None) -> None:
            current.report_progress(_forgotten(done), share=share)

        return raised + _forgotten(
            self._forget.run(replace(current, report_progress=report_progress))
        )

    def preview(self, current: Pass) -> Preview:
        """Say which alerts would be raised."""
        return self._raise.preview(current)

    def backlog(self, current: Pass, most: int) -> int:
        """Count the alerts that would be raised, no further than ``most``."""
        return self._raise.backlog(current, most)

    def _parameters(self, current: Pass) -> dict[str, Any]:
        repeat_before = current.now - current.settings[self._interval] * _REPEAT_AFTER
        return {"repeat_before": repeat_before, **self._more(current)}
