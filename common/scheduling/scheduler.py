"""A scheduler, and the input and result of one pass.

A scheduler supplies one pass as a plain function. The loop (common/scheduling/loop.py) decides when
and on which thread passes run, and handles errors.
"""

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, NamedTuple, Protocol

from common.config import Settings, Variable
from common.database import run_history
from common.database.session import Session
from common.database.table_access import TableAccess
from common.errors import RemoteAway
from common.events.envelope import Event
from common.metrics.prometheus import Gauge, Metric
from common.scheduling.due.conditions import Condition
from common.scheduling.due.lateness import UNKNOWN, Lateness
from common.scheduling.due.next_due import NextDue
from common.scheduling.preview import Preview, Reasons


@dataclass(frozen=True, slots=True)
class PassResult:
    """What one pass did.

    ``processed`` rows changed or handled, ``events`` put into the outbox, ``failed`` rows set
    aside; ``details`` has the scheduler's own counts. ``note`` is one line with the reason of a
    failed row. ``complete`` is False if a stop or a pause ended the pass early. ``skipped`` is
    why the pass was not run: it is paused, another process runs it, or it waits for `toast
    takeover`. ``lateness`` is that of the processed rows, as far as it is known.
    """

    processed: int = 0
    events: int = 0
    failed: int = 0
    details: Mapping[str, int] = field(default_factory=dict)
    note: str = ""
    complete: bool = True
    skipped: str = ""
    lateness: Lateness = UNKNOWN

    def __add__(self, other: "PassResult") -> "PassResult":
        names = [*self.details, *(name for name in other.details if name not in self.details)]
        return PassResult(
            self.processed + other.processed,
            self.events + other.events,
            self.failed + other.failed,
            {name: self.details.get(name, 0) + other.details.get(name, 0) for name in names},
            self.note or other.note,
            self.complete and other.complete,
            self.skipped or other.skipped,
            self.lateness.plus(other.lateness),
        )

    @property
    def outcome(self) -> str:
        """How the pass ended: ok, stopped or skipped."""
        if self.skipped:
            return "skipped"
        return "ok" if self.complete else "stopped"

    @property
    def counts(self) -> dict[str, int]:
        """All counts in one flat dict, for logs, the run history and ``--json``."""
        return {
            "processed": self.processed,
            "events": self.events,
            "failed": self.failed,
            **self.details,
        }


NOTHING = PassResult()


class ReportProgress(Protocol):
    """Callback: a pass reports its progress since the previous call."""

    def __call__(self, done: PassResult = NOTHING, /, *, share: float | None = None) -> object:
        """``share`` is the part of all work that is done, from 0 to 1; None if unknown."""


@dataclass(frozen=True, slots=True)
class Pass:
    """The input of one pass.

    ``interval`` is the time from one tick of its scheduler to the next. ``now`` is the database's
    clock at the start of the pass; every decision uses it. ``host_now`` is this machine's clock at
    the same moment, and ``started`` its monotonic clock, in seconds.
    ``stopping()`` is True once the pass is to end: the worker stops, or the scheduler is paused;
    ``wait(seconds)`` waits that long, and returns True as soon as it is. Call
    ``report_progress(done)`` after each commit and every minute of a long wait: a pass that does
    not call it counts as stalled. Rows that became due at ``quiet_until`` or earlier are changed
    without an event; None: each one is announced. ``between_ticks``: it runs because a row is due,
    earlier than the interval asks for.
    """

    scheduler: str
    connection: Session
    settings: Settings
    interval: timedelta
    now: datetime
    host_now: datetime
    stopping: Callable[[], bool]
    wait: Callable[[float], bool]
    report_progress: ReportProgress
    quiet_until: datetime | None = None
    between_ticks: bool = False
    started: float = field(default_factory=time.monotonic)

    def time_at(self, monotonic: float) -> datetime:
        """The database's time at a moment of the monotonic clock."""
        return self.now + timedelta(seconds=monotonic - self.started)

    def time_now(self) -> datetime:
        """The database's time now: for what becomes due, or is recorded, in a long pass."""
        return self.time_at(time.monotonic())

    @property
    def away_since(self) -> datetime | None:
        """The end of the first pass since the last success that raised RemoteAway; None if there
        is none."""
        return run_history.failing_since(
            self.connection, self.settings.service, self.scheduler, RemoteAway
        )


@dataclass(frozen=True, slots=True)
class Remote:
    """A server other than PostgreSQL and Kafka that a scheduler needs.

    ``address`` is its host:port; ``check`` sends it a harmless request and returns the answer in
    one line, or raises PassError with what to do.
    """

    name: str
    address: Callable[[Settings], str]
    check: Callable[[Settings], str]


class Work(Protocol):
    """What one pass does, and what it needs for that.

    BatchedChange, Alerts and Custom are kinds of it. ``backlog(pass, limit)`` counts the due rows,
    at most ``limit``; it is None if there is no cheap count. ``explain(pass)`` lets PostgreSQL plan
    the statements, and runs none; it is None if they are not known beforehand. ``due`` are the
    conditions by which a row is due; empty if its rows are not found by SQL, and their ids are no
    UUIDs. ``why(pass, id)`` checks each condition for one row; it raises PassError if there is
    none. ``next_due(pass, ahead)`` tells when the next row will be due, at most ``ahead`` of the
    pass's ``now``; it is None if that is not known beforehand, or may wait. ``collects``: a pass
    creates a temporary table. ``can_be_quiet``: it tells nobody of the rows that became due until
    the pass's ``quiet_until``.
    """

    @property
    def run(self) -> Callable[[Pass], PassResult]: ...

    @property
    def preview(self) -> Callable[[Pass], Preview]: ...

    @property
    def why(self) -> Callable[[Pass, str], Reasons]: ...

    @property
    def backlog(self) -> Callable[[Pass, int], int] | None: ...

    @property
    def explain(self) -> Callable[[Pass], None] | None: ...

    @property
    def next_due(self) -> Callable[[Pass, timedelta], NextDue] | None: ...

    @property
    def due(self) -> tuple[Condition, ...]: ...

    @property
    def settings(self) -> tuple[Variable[Any], ...]: ...

    @property
    def tables(self) -> tuple[TableAccess, ...]: ...

    @property
    def events(self) -> tuple[Event, ...]: ...

    @property
    def collects(self) -> bool: ...

    @property
    def can_be_quiet(self) -> bool: ...


@dataclass(frozen=True, slots=True)
class Custom:
    """Work that is no batched change: a pass of its own, as plain functions."""

    run: Callable[[Pass], PassResult]
    preview: Callable[[Pass], Preview]
    why: Callable[[Pass, str], Reasons]
    backlog: Callable[[Pass, int], int] | None = None
    next_due: Callable[[Pass, timedelta], NextDue] | None = None
    due: tuple[Condition, ...] = ()
    settings: tuple[Variable[Any], ...] = ()
    tables: tuple[TableAccess, ...] = ()
    events: tuple[Event, ...] = ()
    can_be_quiet: bool = False
    # No fields, as nothing but a batched change has other values.
    explain = None
    collects = False


class Suspicion(NamedTuple):
    """A count of its passes that is 0 unless something is wrong: its name in their details, what
    it counts, and what to do."""

    detail: str
    message: str
    fix: str


@dataclass(frozen=True, slots=True)
class Scheduler:
    """One background job: its name, its switch, its interval and its work.

    ``needs`` are settings that must not be empty while it is enabled. ``backlog_gauge`` shows the
    number of due rows by another name, too; its label is the service. `toast check` warns of its
    ``suspicions``, and of live rows that its passes cannot use: ``row_faults`` finds pairs of what
    is wrong with them and what to do.
    """

    name: str
    summary: str
    enabled: Variable[bool]
    interval: Variable[Any]
    work: Work
    needs: tuple[Variable[Any], ...] = ()
    backlog_gauge: Metric[Gauge] | None = None
    remotes: tuple[Remote, ...] = ()
    suspicions: tuple[Suspicion, ...] = ()
    row_faults: Callable[[Session, Settings], Iterable[tuple[str, str]]] | None = None

    @property
    def variables(self) -> tuple[Variable[Any], ...]:
        """Every setting of its own."""
        return (self.enabled, self.interval, *self.needs, *self.work.settings)

    @property
    def tables(self) -> tuple[TableAccess, ...]:
        """How it uses its tables."""
        return self.work.tables

    @property
    def topics(self) -> tuple[str, ...]:
        """The topics that it publishes to."""
        return tuple(event.topic for event in self.work.events)
