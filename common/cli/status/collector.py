"""Collects what `toast status` shows, from the run history and the settings."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

import psycopg

from common.cli.status.job_history import BAD, DISABLED, UNKNOWN, History, Job
from common.cli.status.processes import Process
from common.cli.status.sessions import Activity
from common.config import Settings
from common.database import migrations, own_tables
from common.database.advice import in_a_line
from common.database.connection import Database
from common.database.session import Session
from common.errors import PassError
from common.events import outbox_admin
from common.events.outbox_admin import Summary
from common.scheduling.scheduler import Scheduler
from common.scheduling.service import Service

ANSWER_SECONDS = 10.0

# A service with its settings.
Loaded = tuple[Service, Settings]


@dataclass(frozen=True, slots=True)
class Server:
    """One database, with the services that use it; ``fault`` is why it cannot be read.

    ``busy`` are the workers' sessions whose statement takes unusually long.
    """

    name: str
    services: Sequence[str]
    now: datetime | None = None
    outbox: Summary | None = None
    busy: Sequence[Activity] = ()
    fault: str = ""


@dataclass(frozen=True, slots=True)
class Status:
    """The state of all schedulers, databases and processes."""

    jobs: Sequence[Job]
    servers: Sequence[Server]
    processes: Sequence[Process]

    @property
    def is_bad(self) -> bool:
        """True if an operator must act."""
        return any(job.state in BAD for job in self.jobs)


def collect(services: Sequence[Loaded], processes: Sequence[Process]) -> Status:
    """Read every database that these services use; an unreachable one is no error."""
    jobs: list[Job] = []
    servers: list[Server] = []
    for name, users in by_database(services).items():
        server, found = _collect_from(name, users)
        servers.append(server)
        jobs += found
    order = [service.name for service, _ in services]
    jobs.sort(key=lambda job: order.index(job.service))
    up = {process.service for process in processes if process.is_up}
    down = {process.service for process in processes if process.manager} - up
    jobs = [replace(job, next_run=None) if job.service in down else job for job in jobs]
    return Status(jobs, servers, processes)


def by_database(services: Sequence[Loaded]) -> dict[str, list[Loaded]]:
    """The services that share each database, by its name."""
    found: dict[str, list[Loaded]] = {}
    for service, settings in services:
        found.setdefault(Database(settings).name, []).append((service, settings))
    return found


def jobs_of(connection: Session, users: Sequence[Loaded]) -> tuple[History, list[Job]]:
    """The state of all schedulers of these services, which use this database."""
    jobs = _schedulers(users)
    history = History(connection, jobs)
    return history, [history.job(*job) for job in jobs]


def unknown_jobs(users: Sequence[Loaded]) -> list[Job]:
    """The same where the database cannot be read."""
    return [_unknown(*job) for job in _schedulers(users)]


def _schedulers(users: Sequence[Loaded]) -> list[tuple[str, Scheduler, Settings]]:
    return [
        (service.name, scheduler, settings)
        for service, settings in users
        for scheduler in service.schedulers
    ]


def _collect_from(name: str, users: Sequence[Loaded]) -> tuple[Server, list[Job]]:
    names = [service.name for service, _ in users]
    try:
        # Not named like a worker's session, which job_history looks for.
        database = Database(users[0][1], application_name="toast status")
        with database.connect_for(ANSWER_SECONDS) as connection:
            migrations.require(connection, own_tables.EVERY_WORKER, may_apply=False)
            history, jobs = jobs_of(connection, users)
            server = Server(
                name, names, history.now, outbox_admin.summary(connection), history.busy
            )
    except (psycopg.Error, PassError) as error:
        return Server(name, names, fault=in_a_line(error)), unknown_jobs(users)
    return server, jobs


def _unknown(service: str, scheduler: Scheduler, settings: Settings) -> Job:
    enabled = settings[scheduler.enabled]
    return Job(
        service,
        scheduler.name,
        enabled,
        settings[scheduler.interval].total_seconds(),
        UNKNOWN if enabled else DISABLED,
    )
