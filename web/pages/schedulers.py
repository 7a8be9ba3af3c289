"""The front page: every scheduler, the bad ones first."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import psycopg

from common.cli.status import collector
from common.cli.status.collector import Loaded
from common.cli.status.job_history import BAD, DISABLED, Job
from common.cli.status.run_periods import Period
from common.database.advice import in_a_line
from common.errors import PassError
from common.events import outbox
from common.events.outbox import Waiting
from web.backlogs import Backlog
from web.site import Asked

# Of the events that wait, the page counts no more for each service.
MOST_EVENTS = 1_000


@dataclass(frozen=True, slots=True)
class Row:
    """One scheduler: its state, and its passes of the last 24 hours by half hours.

    ``backlog`` is None until its due rows are counted; ``outbox`` is that of its service, None if
    it is unknown or the scheduler has no events.
    """

    job: Job
    half_hours: Sequence[Period] = ()
    backlog: Backlog | None = None
    outbox: Waiting | None = None

    @property
    def key(self) -> str:
        """What tells it from other rows."""
        return self.job.scheduler


@dataclass(frozen=True, slots=True)
class Schedulers:
    """The schedulers; ``first`` is the begin of their first half hour.

    ``faults`` are why some are missing, or in an unknown state.
    """

    rows: Sequence[Row]
    first: datetime
    faults: Sequence[str]
    most_events: int = MOST_EVENTS


def load(asked: Asked) -> Schedulers:
    """Read the state of all schedulers."""
    site = asked.site
    services, faults = site.services_with_settings()
    rows: list[Row] = []
    for name, users in collector.by_database(services).items():
        try:
            rows += _of_database(asked, users)
        except (psycopg.Error, PassError) as error:
            if name == site.database.name:
                raise
            faults.append(in_a_line(error, about=name))
            rows += map(Row, collector.unknown_jobs(users))
    order = [service.name for service, _ in services]
    rows.sort(key=lambda row: (_urgency(row.job), order.index(row.job.service)))
    return Schedulers(rows, site.half_hours.first(datetime.now(UTC)), faults)


def _of_database(asked: Asked, users: Sequence[Loaded]) -> list[Row]:
    with asked.connected(users[0][1]) as connection:
        history, jobs = collector.jobs_of(connection, users)
        names = [(job.service, job.scheduler) for job in jobs]
        half_hours = asked.site.half_hours.read(connection, names, history.now)
        waiting = outbox.of_services(connection, [each.name for each, _ in users], MOST_EVENTS)
    backlogs = asked.site.backlogs.known()
    writes_events = {each.name: bool(each.topics) for one, _ in users for each in one.schedulers}
    return [
        Row(
            job,
            half_hours[name],
            backlogs.get(name),
            waiting[job.service] if writes_events[job.scheduler] else None,
        )
        for job, name in zip(jobs, names, strict=True)
    ]


def _urgency(job: Job) -> tuple[bool, bool]:
    """Sorts the bad ones first; not by what changes with each pass, so that rows stay in place."""
    return job.state not in BAD, job.state == DISABLED
