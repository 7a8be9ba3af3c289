"""Alerts about rows of live tables that we may not change; raised alerts are in toast_alerts.

An alert is raised when it becomes true, when its facts change, and once per interval while it stays
true, but not again after a restart or by a second machine.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any

from common.config import Variable
from common.database import ctid
from common.scheduling.batched_change import BatchedChange
from common.scheduling.scheduler import NOTHING, Pass, PassResult, Preview

# An alert that stays true is raised again after this share of the interval: a pass that starts a
# little early must not delay it by a whole interval.
_REPEAT_AFTER = 0.9


def alerts_to_raise(rows: str) -> str:
    """SQL for the alerts to raise: all columns of the query ``rows``, and ``is_current``.

    An ``id`` is to be raised if no row of toast_alerts has its ``facts``, or none raised within the
    interval. ``is_current`` is NULL if the id has no row yet, otherwise false.
    """
    # A scalar subquery uses the index, row by row; for a join the planner would read all alerts in
    # each batch. OFFSET 0 prevents a second lookup.
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
    """CTEs that store the alerts of the query ``rows``: ``due``, and ``raised``, to publish.

    If two machines raise the same alert, the second waits for the first. A repeated alert is then
    not published again. A new alert makes the statement fail with a UniqueViolation: run it again,
    and the alert is no longer due.
    """
    # ON CONFLICT costs one more lookup for each alert, so new alerts do without it. Both inserts
    # are in order of ids, to avoid a deadlock of two machines.
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
    """``due`` and ``batch`` of the BatchedChange that deletes alerts which are no longer true."""
    # Alerts that this pass has raised are true. IS TRUE keeps the planner from a join: of a table
    # that is not analysed it expects a handful of rows, and would compare every row with every
    # other.
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
    """The deleted alerts as ``forgotten``: they are not processed rows."""
    return replace(done, processed=0, details={"forgotten": done.processed})


class Alerts:
    """The alerts of one scheduler about one live table.

    ``due``, ``batch`` and ``collect...`` are those of a BatchedChange: the alerts to raise, and the
    statement that stores and publishes them. ``still_true`` is SQL that selects the subject of
    ``alert`` if the alert is still true. All may use the parameter ``repeat_before``.
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
        """Raise the due alerts, then delete those that are no longer true."""
        raised = self._raise.run(current)

        def report_progress(done: PassResult = NOTHING, /, *, share: float | None = None) -> None:
            current.report_progress(_forgotten(done), share=share)

        return raised + _forgotten(
            self._forget.run(replace(current, report_progress=report_progress))
        )

    def preview(self, current: Pass) -> Preview:
        """The alerts that a pass would raise."""
        return self._raise.preview(current)

    def backlog(self, current: Pass, most: int) -> int:
        """Count the alerts that a pass would raise, at most ``most``."""
        return self._raise.backlog(current, most)

    def _parameters(self, current: Pass) -> dict[str, Any]:
        repeat_before = current.now - current.settings[self._interval] * _REPEAT_AFTER
        return {"repeat_before": repeat_before, **self._more(current)}
