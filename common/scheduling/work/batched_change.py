"""Work that changes, or deletes, every due row of one table, and announces each if it has an event.

A scheduler declares which rows are due and what changes; the statements follow from that. One
statement changes a batch of rows and puts their events into the outbox, so they commit together.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from common.database import failed_rows, own_tables
from common.database.table_access import Index, Table, TableAccess
from common.events.envelope import Event
from common.scheduling.due import lateness
from common.scheduling.due.next_due import NextDueQuery, moments
from common.scheduling.preview import Preview
from common.scheduling.scheduler import Pass, PassResult
from common.scheduling.under_way.clock_guard import require_agreement
from common.scheduling.work import batched_pass, ctid
from common.scheduling.work.batches import Statements
from common.scheduling.work.due_rows import TRIED_AGAIN, UNKNOWN, all_of, is_announced, not_left_out
from common.scheduling.work.one_row import OneRow
from common.scheduling.work.sql_work import SqlWork

# FOR UPDATE asks for the right to update some column: of a table whose rows are only deleted, the
# first of these that it has, or else any.
_LOCK_COLUMNS = ("updated_at", "deleted_at")


@dataclass(frozen=True, slots=True)
class Children:
    """Rows that are deleted with the row that ``column`` refers to; ``name`` counts them."""

    name: str
    table: Table
    column: str


@dataclass(frozen=True)
class BatchedChange(SqlWork):
    """What happens to the due rows of ``table``.

    ``changes`` maps each column to its new value in SQL; without it the rows are deleted, with
    their ``children``. ``index`` makes a pass cheap if no row is due. ``reads`` are the other
    tables that a condition names. ``is_retried``: a row without an event is tried again by others,
    unless it is to be quiet.
    """

    table: Table
    index: Index = field(kw_only=True)
    changes: Mapping[str, str] = field(default_factory=dict)
    children: tuple[Children, ...] = ()
    event: Event | None = None
    reads: tuple[TableAccess, ...] = ()
    is_retried: bool = False
    collects = False

    def run(self, current: Pass) -> PassResult:
        """Change every due row; set aside those that cannot be changed.

        Raises PassError if none of many rows can be changed, and ClocksDiffer if rows would be
        deleted while a clock is wrong.
        """
        self._require_clocks(current)
        result = batched_pass.run(current, self.statements, self._values(current))
        if result.complete:
            failed_rows.forget_recovered(current.connection, current.scheduler, current.now)
        return result

    def preview(self, current: Pass) -> Preview:
        """As in SqlWork; raises ClocksDiffer as ``run`` does."""
        self._require_clocks(current)
        return super().preview(current)

    @property
    def events(self) -> tuple[Event, ...]:
        """Its event, if it has one."""
        return (self.event,) if self.event else ()

    @property
    def tables(self) -> tuple[TableAccess, ...]:
        """The columns that its statements use."""
        return (
            self._access,
            *map(_deleting, self.children),
            *self.reads,
            own_tables.SETTING_ROWS_ASIDE,
        )

    @cached_property
    def statements(self) -> Statements:
        """The SQL of a dry run and of a batch."""
        is_due = f"{all_of(self.due)} AND {not_left_out()}"
        in_range = f"{ctid.in_range()} AND {is_due}"
        is_bare = not (self.changes or self.children or self.event)
        return Statements(
            table=self.table.name,
            due=f"SELECT {', '.join(self.shows)} FROM {self.table.name} WHERE {is_due}",
            batch=self._batch(
                f"{in_range} FOR UPDATE SKIP LOCKED", f"{ctid.same_rows('due')} AND {is_due}"
            ),
            eager=f"{self._change} WHERE {in_range}"
            if is_bare
            else self._batch(in_range, in_range),
            is_bare=is_bare,
            # What is to be deleted may wait for the next pass.
            urgent=bool(self.changes),
            can_wait=not self.changes,
        )

    def _batch(self, due: str, changing: str) -> str:
        """A statement that finds the rows ``due``, and changes those that are ``changing``."""
        counts = [
            "(SELECT count(*) FROM due) AS found",
            "(SELECT count(*) FROM changed) AS processed",
        ]
        found, more = "id, ctid", ""
        if self.changes and self.since != UNKNOWN:
            # From the rows as they were found: a change may set the time anew.
            found += f", {self.since} AS since"
            counts.append(f"{lateness.sql('due')} AS late")
        if self.event:
            announced_rows = f"changed WHERE {is_announced(self.since)}"
            more = f", announced AS ({self.event.insert(announced_rows)})"
            counts.append("(SELECT count(*) FROM announced) AS events")
        for child in self.children:
            more += _delete_children(child)
            counts.append(f"(SELECT count(*) FROM deleted_{child.name}) AS {child.name}")
        return f"""
WITH due AS (
    SELECT {found} FROM {self.table.name} WHERE {due}
), changed AS (
    {self._change} WHERE {changing} RETURNING {", ".join(self._returned)}
){more}
SELECT {", ".join(counts)}"""

    @cached_property
    def next_due_query(self) -> NextDueQuery | None:
        """The SQL for when the next row will be due; what is to be deleted may wait."""
        if not self.changes:
            return None
        rows = self.table.name
        left = f"EXISTS ({self.statements.due})" if self._is_timed else "false"
        return NextDueQuery((*moments(rows, self.due, not_left_out()), TRIED_AGAIN), left)

    @property
    def _one_row(self) -> OneRow:
        return self._one_of(self.table, (self.table.name, self.table.name), self.shows)

    @property
    def _events_per_row(self) -> int:
        return 1 if self.is_retried else super()._events_per_row

    @property
    def _change(self) -> str:
        if not self.changes:
            return f"DELETE FROM {self.table.name}"
        values = ", ".join(f"{column} = {value}" for column, value in self.changes.items())
        return f"UPDATE {self.table.name} SET {values}"

    @property
    def _returned(self) -> Sequence[str]:
        """The columns that the event needs, or the id."""
        fields = (*self.event.fields.values(), self.since) if self.event else ("id",)
        return self.table.columns_in(" ".join(fields))

    @property
    def _access(self) -> TableAccess:
        fields = self.event.fields.values() if self.event else ()
        read = ("ctid", "id", *self.shows, all_of(self.due), *self.changes.values(), *fields)
        columns = self.table.columns
        lock = next(name for name in (*_LOCK_COLUMNS, *columns) if name in columns)
        return TableAccess(
            self.table,
            select=self.table.columns_in(" ".join(read)),
            update=tuple(self.changes) or (lock,),
            delete=not self.changes,
            profits=(self.index,),
            is_timed=bool(self.changes) and self._is_timed,
        )

    def _require_clocks(self, current: Pass) -> None:
        if not self.changes:
            require_agreement(current)


def _delete_children(child: Children) -> str:
    """A CTE that deletes the children of the rows in ``changed``.

    They refer to their row with NO ACTION, which is checked at the end of the statement: one
    statement may delete both. The children of a row that a trigger keeps are kept. ``due`` is there
    for the planner: it can estimate ``due``, but not ``changed``.
    """
    return f""", deleted_{child.name} AS (
    DELETE FROM {child.table.name}
    WHERE {child.column} IN (SELECT id FROM due)
      AND ({child.column} IN (SELECT id FROM changed)) IS TRUE
    RETURNING 1
)"""


def _deleting(child: Children) -> TableAccess:
    index = Index((child.column,))
    return TableAccess(child.table, select=(child.column,), delete=True, needs=(index,))
