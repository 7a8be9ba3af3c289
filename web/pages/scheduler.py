"""One scheduler: what it is set to, what its passes did, and what it left aside."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import Any
from uuid import UUID

from common import config
from common.cli.operate import failed_rows
from common.cli.services import UsageError, scheduler_named
from common.cli.status import collector
from common.cli.status.job_history import Job
from common.cli.status.run_periods import Period
from common.config import Settings, SettingsError
from common.database import own_tables, run_history
from common.database.session import Session
from common.events import outbox
from common.events.outbox import Waiting
from common.scheduling.scheduler import Scheduler
from common.scheduling.service import Service
from web.backlogs import Backlog
from web.pages.schedulers import MOST_EVENTS
from web.site import Asked

RUNS = 25
ROWS = 10


@dataclass(frozen=True, slots=True)
class Setting:
    """A setting as it is written, a secret hidden; ``origin`` is where."""

    name: str
    value: str
    origin: str
    meaning: str


@dataclass(frozen=True, slots=True)
class Runs:
    """A page of runs that ended like ``outcome``, or of all if that is empty.

    ``older`` is where the next page begins, None at the end.
    """

    outcome: str
    rows: Sequence[Mapping[str, Any]]
    older: str | None


@dataclass(frozen=True, slots=True)
class RowsAside:
    """How many rows the scheduler has set aside, and the first of them."""

    count: int
    rows: Sequence[Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class History:
    """What the database knows of a scheduler; ``first`` is the begin of the first of its days.

    ``outbox`` is that of its service, None if the scheduler has no events; ``rows_aside`` is None
    if it sets none aside.
    """

    job: Job
    days: Sequence[Period]
    first: datetime
    runs: Runs
    rows_aside: RowsAside | None
    outbox: Waiting | None
    backlog: Backlog | None
    most_events: int = MOST_EVENTS


@dataclass(frozen=True, slots=True)
class OneScheduler:
    """A scheduler, its settings, and its ``history``: None while its settings have ``faults``."""

    service: str
    scheduler: str
    summary: str
    topics: Sequence[str]
    settings: Sequence[Setting]
    faults: Sequence[str]
    history: History | None


def load(asked: Asked, service: str, scheduler: str) -> OneScheduler:
    """Read it, with the runs of ``?outcome=`` before ``?before=``.

    Raises LookupError if there is no such scheduler, UsageError for a wrong argument.
    """
    of, one = named(asked, service, scheduler)
    history: History | None = None
    faults: Sequence[str] = ()
    try:
        _, settings = asked.site.service(service)
        with asked.connected(settings) as connection:
            history = _history(asked, connection, of, one, settings)
    except SettingsError as error:
        settings, faults = config.as_written(service, one.variables), error.faults
    shown = [_setting(settings, variable) for variable in one.variables]
    return OneScheduler(service, scheduler, one.summary, one.topics, shown, faults, history)


def named(asked: Asked, service: str, scheduler: str) -> tuple[Service, Scheduler]:
    """The service and its scheduler. Raises LookupError if there is none of these names."""
    try:
        found = asked.site.services.named(service)
        return found, scheduler_named(found, scheduler)
    except UsageError as error:
        raise LookupError(str(error)) from None


def _setting(settings: Settings, variable: config.Variable[Any]) -> Setting:
    origin = settings.origin(variable)
    is_missing = origin == "default" and variable.default is None
    written = settings.written(variable)
    return Setting(variable.name, written, "not set" if is_missing else origin, variable.help)


def _history(
    asked: Asked, connection: Session, service: Service, scheduler: Scheduler, settings: Settings
) -> History:
    job = service.name, scheduler.name
    known, jobs = collector.jobs_of(connection, [(service, settings)])
    sets_aside = own_tables.SETTING_ROWS_ASIDE in scheduler.tables
    waiting = outbox.of_services(connection, [service.name], MOST_EVENTS)[service.name]
    return History(
        next(each for each in jobs if each.scheduler == scheduler.name),
        asked.site.days.read(connection, [job], known.now)[job],
        asked.site.days.first(known.now),
        _runs(asked, connection, job),
        _rows_aside(asked, connection, job) if sets_aside else None,
        waiting if scheduler.topics else None,
        asked.site.backlogs.known().get(job),
    )


def _runs(asked: Asked, connection: Session, job: tuple[str, str]) -> Runs:
    outcome = asked.query.get("outcome", "")
    if outcome and outcome not in run_history.OUTCOMES:
        raise UsageError(f"outcome={outcome!r}; expected one of {', '.join(run_history.OUTCOMES)}")
    before = _place(asked.query.get("before", ""))
    # One more, to know whether there is a next page.
    rows = run_history.page(connection, *job, outcome or None, before=before, most=RUNS + 1)
    shown = rows[:RUNS]
    is_end = len(rows) <= RUNS
    older = None if is_end else f"{shown[-1]['started_at'].isoformat()}/{shown[-1]['id']}"
    return Runs(outcome, shown, older)


def _place(before: str) -> tuple[datetime, UUID] | None:
    """Start and id of the last run of the page before, as ``Runs.older`` has them."""
    if not before:
        return None
    started_at, _, run_id = before.partition("/")
    try:
        return datetime.fromisoformat(started_at), UUID(run_id)
    except ValueError:
        raise UsageError(f"before={before!r}; expected the start and the id of a run") from None


def _rows_aside(asked: Asked, connection: Session, job: tuple[str, str]) -> RowsAside:
    chosen = failed_rows.choose(asked.site.services, *job)
    count = failed_rows.count(connection, chosen)
    return RowsAside(count, list(islice(failed_rows.listing(connection, chosen), ROWS)))
