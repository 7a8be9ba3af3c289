"""What BatchedChange and Alerts have in common: one query finds their due rows."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from common.config import Variable
from common.database.table_access import Table
from common.events.envelope import Event
from common.scheduling.due.conditions import Condition
from common.scheduling.due.next_due import NextDue, NextDueQuery
from common.scheduling.preview import Preview, Reasons
from common.scheduling.scheduler import Pass
from common.scheduling.work import batched_pass, ctid
from common.scheduling.work.batches import Statements
from common.scheduling.work.due_rows import UNKNOWN, DueRows, not_set_aside
from common.scheduling.work.one_row import OneRow

_NO_SETTINGS: Mapping[str, Variable[Any]] = {}


@dataclass(frozen=True, kw_only=True)
class SqlWork(ABC):
    """Work whose rows are due by the conditions ``due``.

    ``shows`` are the columns of a dry run, and ``since`` is SQL over them for the moment at which a
    row became due. ``parameters`` maps the parameters of the SQL to settings, ``ago`` others to
    settings of how long before now they are; ``now``, ``scheduler``, ``quiet_until`` and
    ``without`` are there always.
    """

    due: tuple[Condition, ...]
    shows: tuple[str, ...]
    since: str = UNKNOWN
    can_be_quiet: bool = True
    parameters: Mapping[str, Variable[Any]] = field(default_factory=dict)
    # PostgreSQL would subtract an interval from a time anew for each row.
    ago: Mapping[str, Variable[timedelta]] = field(default_factory=dict)

    @property
    @abstractmethod
    def statements(self) -> Statements:
        """The SQL of a dry run and of a batch."""

    def preview(self, current: Pass) -> Preview:
        """Count the due rows and fetch the first of them, without changes."""
        return self._due_rows.preview(current)

    def why(self, current: Pass, row: str) -> Reasons:
        """Check every condition for one row. Raises PassError if there is none with this id."""
        return self._one_row.why(current, row)

    def backlog(self, current: Pass, most: int) -> int:
        """Count the due rows, at most ``most``."""
        return self._due_rows.backlog(current, most)

    def explain(self, current: Pass) -> None:
        """Let PostgreSQL plan every statement, and run none; raises its error."""
        first, end = map(ctid.tid, ctid.WHOLE_TABLE)
        ahead = timedelta(0)
        values = {**self._values(current), "first": first, "end": end, "ahead": ahead}
        for statement in self.planned:
            current.connection.execute(f"EXPLAIN {statement}", values)

    @property
    def planned(self) -> tuple[str, ...]:
        """The statements that can be planned before a pass has begun."""
        statements = self.statements
        batch = (statements.due, statements.batch, statements.eager)
        return tuple(filter(None, (*batch, *self._asked)))

    @property
    @abstractmethod
    def next_due_query(self) -> NextDueQuery | None:
        """The SQL for when the next row will be due; None if that may wait for the next tick."""

    @property
    def next_due(self) -> Callable[[Pass, timedelta], NextDue] | None:
        """As in Work."""
        query = self.next_due_query
        if query is None:
            return None

        def ask(current: Pass, ahead: timedelta) -> NextDue:
            return query.ask(current.connection, {**self._values(current), "ahead": ahead})

        return ask

    @property
    def _is_timed(self) -> bool:
        """Whether it is known when rows become due."""
        return any(condition.time for condition in self.due)

    @property
    def _asked(self) -> tuple[str, ...]:
        return (self.next_due_query.sql,) if self.next_due_query else ()

    @property
    def settings(self) -> tuple[Variable[Any], ...]:
        """The settings that its SQL uses."""
        return (*self.parameters.values(), *self.ago.values())

    @property
    @abstractmethod
    def events(self) -> tuple[Event, ...]:
        """The kinds of its events; each row leaves one of them, or none if there are none."""

    @property
    @abstractmethod
    def _one_row(self) -> OneRow:
        """How to find a row, and all conditions by which ``statements`` find it."""

    def _one_of(
        self,
        table: Table,
        rows: tuple[str, str],
        shows: Sequence[str],
        more: tuple[Condition, ...] = (),
        settings: Mapping[str, Variable[Any]] = _NO_SETTINGS,
    ) -> OneRow:
        """A row of the table, of which ``rows`` are the SQL and its alias there; ``more`` are
        conditions besides those of ``due``, with their ``settings``."""
        source, alias = rows
        return OneRow(
            table=table,
            rows=source,
            alias=alias,
            conditions=(*self.due, not_set_aside(f"{alias}.id"), *more),
            shows=shows,
            since=self.since,
            parameters=self._values,
            settings={**self.parameters, **self.ago, **settings},
        )

    @property
    def _events_per_row(self) -> int:
        """How many events one row leaves that is not to be quiet."""
        return 1 if self.events else 0

    @property
    def _due_rows(self) -> DueRows:
        return DueRows(
            self.statements.due, self._values, since=self.since, events=self._events_per_row
        )

    def _values(self, current: Pass) -> dict[str, Any]:
        """The values of the parameters in this pass."""
        settings = current.settings
        values = {name: settings[setting] for name, setting in self.parameters.items()}
        times = {name: current.now - settings[setting] for name, setting in self.ago.items()}
        return batched_pass.parameters(current, {**values, **times})
