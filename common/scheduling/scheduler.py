"""What a scheduler is, and what one pass of it is given and gives back.

A scheduler supplies one pass as a plain function. When passes run, on which thread, and what
becomes of an error is the loop's business (common/scheduling/loop.py).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

from common import config
from common.config import Settings, Variable
from common.config.kinds import Need
from common.database.session import Session
from common.database.table_access import TableAccess

# Rows that a dry run shows.
PREVIEW_ROWS = 10


@dataclass(frozen=True, slots=True)
class PassResult:
    """What one pass did.

    ``processed`` rows changed or handled, ``events`` put into the outbox, ``failed`` rows set
    aside; ``details`` breaks these down by the scheduler's own names. ``note`` says in one
    line why rows failed. ``complete`` is False where a stop ended the pass early; ``skipped``
    says why the pass was left to somebody else.
    """

    processed: int = 0
    events: int = 0
    failed: int = 0
    details: Mapping[str, int] = field(default_factory=dict)
    note: str = ""
    complete: bool = True
    skipped: str = ""

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
        )

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


@dataclass(frozen=True, slots=True)
class Preview:
    """What a pass would do: how many rows are due, and the first of them."""

    count: int
    rows: Sequence[Mapping[str, Any]]


class ReportProgress(Protocol):
    """How a pass says that it is alive, and what it has done since it last said so."""

    def __call__(self, done: PassResult = NOTHING, /, *, share: float | None = None) -> object:
        """``share`` is the part of the work that is behind it, from 0 to 1, where that is known."""


@dataclass(frozen=True, slots=True)
class Pass:
    """What one pass may use.

    ``now`` is the database's clock at the start of the pass; every decision of the pass is
    made by it. ``host_now`` is this machine's clock at the same moment. ``stopping()`` asks
    whether the worker is to end; ``wait(seconds)`` waits that long for a remote side's sake
    and returns True as soon as it is. ``report_progress(done)`` is to be called after each commit,
    with what it did, and now and then during a long wait: a pass that does not call it counts as
    stalled.
    """

    scheduler: str
    connection: Session
    settings: Settings
    now: datetime
    host_now: datetime
    stopping: Callable[[], bool]
    wait: Callable[[float], bool]
    report_progress: ReportProgress


@dataclass(frozen=True, slots=True)
class Remote:
    """A server other than PostgreSQL and Kafka that a scheduler cannot work without.

    ``address`` is where it listens, as host:port; ``check`` asks it something harmless and
    says in one line what it answered, or raises PassError with what to do.
    """

    name: str
    address: Callable[[Settings], str]
    check: Callable[[Settings], str]


@dataclass(frozen=True, slots=True)
class Scheduler:
    """One background job: its name, its settings, one pass of it, and a dry run.

    ``needs`` are settings that are empty by default and may not be while it is enabled.
    ``backlog`` counts what is due, no further than it is told; None where that cannot be asked
    cheaply. ``tables`` are the live tables and what is done with them; ``collects`` says that a
    pass makes a temporary one.
    """

    name: str
    summary: str
    enabled: Variable[bool]
    interval: Variable[Any]
    run: Callable[[Pass], PassResult]
    preview: Callable[[Pass], Preview]
    settings: tuple[Variable[Any], ...] = ()
    needs: tuple[Variable[Any], ...] = ()
    topics: tuple[str, ...] = ()
    backlog: Callable[[Pass, int], int] | None = None
    tables: tuple[TableAccess, ...] = ()
    collects: bool = False
    remotes: tuple[Remote, ...] = ()

    @property
    def variables(self) -> tuple[Variable[Any], ...]:
        return (self.enabled, self.interval, *self.needs, *self.settings)


@dataclass(frozen=True, slots=True)
class Service:
    """The schedulers that share one worker process, and its port for metrics and health."""

    name: str
    schedulers: tuple[Scheduler, ...] = ()
    metrics_port: int = 0

    @property
    def metrics(self) -> Variable[int]:
        """The setting of the port."""
        return config.metrics_port(self.metrics_port)

    @property
    def variables(self) -> tuple[Variable[Any], ...]:
        """Every setting of this service's own, each once, in the order of its schedulers."""
        every = (variable for scheduler in self.schedulers for variable in scheduler.variables)
        return tuple({variable.name: variable for variable in (self.metrics, *every)}.values())

    @property
    def needs(self) -> tuple[Need, ...]:
        """Which settings may not be empty, and the switch that makes it so."""
        return tuple(
            (scheduler.enabled, needed)
            for scheduler in self.schedulers
            for needed in scheduler.needs
        )

    @property
    def topics(self) -> tuple[str, ...]:
        """Every topic that this service publishes to."""
        return tuple(topic for scheduler in self.schedulers for topic in scheduler.topics)
