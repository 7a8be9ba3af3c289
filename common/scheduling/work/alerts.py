"""Alerts about rows of live tables that we may not change; raised alerts are in toast_alerts.

An alert is raised when it becomes true, when its facts change, and once per interval while it stays
true, but not again after a restart or by a second machine.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, NamedTuple

from common.config import Variable
from common.database import failed_rows, own_tables
from common.database.table_access import Index, Table, TableAccess
from common.events.envelope import Event
from common.scheduling.due.conditions import Condition, Time
from common.scheduling.due.next_due import NextDueQuery, moment, moments
from common.scheduling.scheduler import NOTHING, Pass, PassResult
from common.scheduling.work import batched_pass, ctid
from common.scheduling.work.alert_statements import IS_CURRENT, QUIET, raising, to_raise
from common.scheduling.work.batches import Collection, Statements
from common.scheduling.work.due_rows import TRIED_AGAIN, UNKNOWN, all_of, is_announced, not_left_out
from common.scheduling.work.one_row import OneRow
from common.scheduling.work.sql_work import SqlWork

# An alert that stays true is raised again after this share of the interval: a pass that starts a
# little early must not delay it by a whole interval. A pass between two ticks raises it after the
# interval; and one runs for it if no tick has come after the second share.
_REPEAT_AFTER = 0.9
_REPEAT_BY = 1.1
_RAISED_LONG_AGO = Time("raised_at", "%(repeat_by)s")

_IS_NEWS = Condition(
    "no alert with the same facts within the interval",
    f"{IS_CURRENT} IS NOT TRUE",
    shows={"facts": "candidate.facts"},
)


class Kind(NamedTuple):
    """The alerts of one kind: which rows have them, in SQL, and their event."""

    rows: str
    event: Event


@dataclass(frozen=True, kw_only=True)
class Alerts(SqlWork):
    """The alerts of one scheduler about the rows of one live table.

    ``rows`` are ``table``, or a subquery over it, with the alias ``row``; ``columns`` are what the
    kinds and the dry run need of them, ``id`` first, and ``facts`` is the text in SQL whose change
    makes a new alert. ``turns`` are conditions that change the facts when a row meets them.
    ``kinds`` maps the name of each count to the alerts that it counts. ``index`` makes a pass cheap
    if no row is due; ``reads`` is what the subquery reads. ``still_true`` is SQL that selects the
    subject of ``alert`` if its alert is still true; without it, the due conditions decide.

    If finding the rows of a ctid range is as expensive as finding all, ``collect`` makes the
    temporary table ``collected`` for the columns and the facts, and the pass fills it once, with
    the server's settings ``collecting``.
    """

    table: Table
    rows: str
    row: str
    columns: tuple[str, ...]
    facts: str
    kinds: Mapping[str, Kind]
    interval: Variable[Any]
    turns: tuple[Condition, ...] = ()
    index: Index | None = None
    reads: tuple[TableAccess, ...] = ()
    still_true: str = ""
    collect: str = ""
    collected: str = ""
    collecting: Mapping[str, str] = field(default_factory=dict)

    def run(self, current: Pass) -> PassResult:
        """Raise the due alerts, then delete those that are no longer true."""
        raised = batched_pass.run(current, self.statements, self._values(current))

        def report_progress(done: PassResult = NOTHING, /, *, share: float | None = None) -> None:
            current.report_progress(_forgotten(done), share=share)

        quiet = replace(current, report_progress=report_progress)
        forgotten = batched_pass.run(quiet, self.forgetting, self._values(current))
        result = raised + _forgotten(forgotten)
        if result.complete:
            failed_rows.forget_recovered(current.connection, current.scheduler, current.now)
        return result

    @property
    def events(self) -> tuple[Event, ...]:
        """The event of each kind."""
        return tuple(kind.event for kind in self.kinds.values())

    @property
    def tables(self) -> tuple[TableAccess, ...]:
        """The live tables that it reads, and our own."""
        sql = f"{self.statements.due} {self.statements.batch}"
        columns, profits = self.table.columns_in(sql, self.row), tuple(filter(None, [self.index]))
        access = TableAccess(self.table, select=columns, profits=profits, is_timed=self._is_timed)
        return (*self.reads, access, own_tables.ALERTS, own_tables.SETTING_ROWS_ASIDE)

    @property
    def collects(self) -> bool:
        """Whether a pass creates a temporary table."""
        return bool(self.collect)

    @cached_property
    def statements(self) -> Statements:
        """The SQL that finds, stores and publishes the alerts to raise."""
        all_rows = self._all_rows
        in_range, collection = f"{all_rows} AND {ctid.in_range(f'{self.row}.')}", None
        if self.collected:
            fill = f"INSERT INTO {self.collected} {all_rows}"
            collection = Collection(self.collected, (self.collect, fill), self.collecting)
            in_range = f"""
    SELECT * FROM {self.collected} WHERE {ctid.in_range()} AND {not_left_out()}"""
        return Statements(
            table=self.table.name,
            due=f"SELECT {', '.join(self.shows)} FROM ({to_raise(all_rows)}) AS due",
            batch=self._raising(in_range),
            urgent=False,
            collection=collection,
        )

    @cached_property
    def forgetting(self) -> Statements:
        """The SQL that deletes the alerts that are no longer true."""
        still_true = (
            self.still_true
            or f"""
        SELECT FROM {self.rows} AS {self.row} WHERE {self.row}.id = alert.subject_id
            AND {all_of(self.due)}"""
        )
        # Alerts that this pass has raised are true. IS TRUE keeps the planner from a join: of a
        # table that is not analysed it expects a handful of rows, and would compare every row with
        # every other.
        is_over = f"""
        alert.scheduler = %(scheduler)s
        AND (alert.raised_at < %(now)s OR alert.raised_at = {QUIET})
        AND (NOT EXISTS ({still_true})) IS TRUE
        AND {not_left_out("alert.subject_id")}"""
        return Statements(
            table="toast_alerts",
            id_column="subject_id",
            due=f"SELECT subject_id, facts FROM toast_alerts AS alert WHERE {is_over}",
            batch=f"""
    WITH is_over AS (
        SELECT subject_id, ctid FROM toast_alerts AS alert WHERE {ctid.in_range()} AND {is_over}
        FOR UPDATE SKIP LOCKED
    ), forgotten AS (
        DELETE FROM toast_alerts AS alert
        WHERE {ctid.same_rows("is_over", "subject_id")} AND {is_over}
        RETURNING 1
    )
    SELECT (SELECT count(*) FROM is_over) AS found, count(*) AS processed FROM forgotten""",
        )

    @cached_property
    def next_due_query(self) -> NextDueQuery | None:
        """The SQL for when the next alert is to be raised, if its conditions name a time."""
        if not self._is_timed:
            return None
        rows, others = f"{self.rows} AS {self.row}", not_left_out(f"{self.row}.id")
        lasting = tuple(condition for condition in self.due if not condition.time)
        return NextDueQuery(
            (
                *moments(rows, self.due, others),
                *(text for turn in self.turns for text in moments(rows, (*lasting, turn), others)),
                moment("toast_alerts", _RAISED_LONG_AGO, ["scheduler = %(scheduler)s"]),
                TRIED_AGAIN,
            )
        )

    @property
    def planned(self) -> tuple[str, ...]:
        """As in SqlWork; without the temporary table, which is not there yet."""
        batch = self._raising(self._all_rows) if self.collected else self.statements.batch
        return (self.statements.due, batch, self.forgetting.batch, *self._asked)

    def _raising(self, rows: str) -> str:
        since = "" if self.since == UNKNOWN else self.since
        return raising(rows, self.kinds, is_announced(self.since), since)

    @property
    def _one_row(self) -> OneRow:
        candidate = f"CROSS JOIN LATERAL (SELECT {self._columns}) AS candidate"
        return self._one_of(
            self.table,
            (f"{self.rows} AS {self.row} {candidate}", self.row),
            [f"candidate.{name}" for name in self.shows],
            more=(_IS_NEWS,),
            settings={"repeat_before": self.interval},
        )

    @property
    def _columns(self) -> str:
        return ", ".join((*self.columns, f"{self.facts} AS facts"))

    @property
    def _all_rows(self) -> str:
        return f"""
    SELECT {self._columns} FROM {self.rows} AS {self.row}
    WHERE {all_of(self.due)} AND {not_left_out(f"{self.row}.id")}"""

    def _values(self, current: Pass) -> dict[str, Any]:
        interval = current.settings[self.interval]
        share = 1 if current.between_ticks else _REPEAT_AFTER
        return {
            **super()._values(current),
            "repeat_before": current.now - interval * share,
            "between_ticks": current.between_ticks,
            "repeat_by": current.now - interval * _REPEAT_BY,
        }


def _forgotten(done: PassResult) -> PassResult:
    """The deleted alerts as ``forgotten``: they are not processed rows."""
    return replace(done, processed=0, details={"forgotten": done.processed})
