"""How every scheduler is: what `toast status` shows, from the run history and the settings."""

import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg

from common import migrations, outbox
from common.advice import advised
from common.config import Settings
from common.database import Database
from common.outbox import Summary
from common.overdue import overdue_after
from common.process_state import Process
from common.redact import redact
from common.scheduler import PassError, Scheduler, Service
from common.session import Session

OK, FAILING, RUNNING, OVERDUE = "ok", "failing", "running", "overdue"
DISABLED, NEVER_RAN, UNKNOWN = "disabled", "never ran", "unknown"

# What an operator must look at.
BAD = frozenset({FAILING, OVERDUE, NEVER_RAN, UNKNOWN})

ANSWER_SECONDS = 10.0
# Enough for a sparkline, and to find a pass under way behind those that left it alone.
RECENT_RUNS = 24
# A scheduler that fails every second has more; the exact number is no matter then.
MOST_RUNS = 10_000

# The last runs of each job, the newest first.
_RECENT = f"""
SELECT run.* FROM unnest(%(services)s::text[], %(schedulers)s::text[]) AS job (service, scheduler)
CROSS JOIN LATERAL (
    SELECT service, scheduler, host, process, started_at, finished_at, result, counts, error
    FROM toast_runs
    WHERE service = job.service AND scheduler = job.scheduler
    ORDER BY started_at DESC LIMIT {RECENT_RUNS}
) AS run"""

# Of each job the last success, and how many runs of the last 24 hours, and how many failed.
_TOTALS = f"""
SELECT job.service, job.scheduler, day.runs, day.failures, (
    SELECT finished_at FROM toast_runs
    WHERE service = job.service AND scheduler = job.scheduler AND result = 'ok'
    ORDER BY started_at DESC LIMIT 1
) AS last_success
FROM unnest(%(services)s::text[], %(schedulers)s::text[]) AS job (service, scheduler)
CROSS JOIN LATERAL (
    SELECT count(*) AS runs, count(*) FILTER (WHERE result = 'failed') AS failures FROM (
        SELECT result FROM toast_runs
        WHERE service = job.service AND scheduler = job.scheduler
          AND started_at > now() - interval '24 hours'
        ORDER BY started_at DESC LIMIT {MOST_RUNS}
    ) AS run
) AS day"""

_NOW = "SELECT clock_timestamp() AS now"

# Every role may see the names of all sessions.
_SESSIONS = """
SELECT DISTINCT application_name AS name FROM pg_stat_activity
WHERE datname = current_database() AND application_name LIKE 'toast-%'"""


@dataclass(frozen=True, slots=True)
class Job:
    """One scheduler; times are by the database's clock, ``interval`` and durations in seconds.

    ``durations`` are those of the last runs, the oldest first. ``next_run`` is None where it is
    not known, will be soon after a failure, or will not be, because the process is down.
    """

    service: str
    scheduler: str
    enabled: bool
    interval: float
    state: str
    last_run: datetime | None = None
    seconds: float | None = None
    counts: Mapping[str, int] = field(default_factory=dict)
    last_success: datetime | None = None
    next_run: datetime | None = None
    runs_24h: int = 0
    failures_24h: int = 0
    durations: Sequence[float] = ()
    error: str = ""


@dataclass(frozen=True, slots=True)
class Server:
    """One database, with the services that use it; ``fault`` says why it cannot be asked."""

    name: str
    services: Sequence[str]
    now: datetime | None = None
    outbox: Summary | None = None
    fault: str = ""


@dataclass(frozen=True, slots=True)
class Status:
    """All that is known."""

    jobs: Sequence[Job]
    servers: Sequence[Server]
    processes: Sequence[Process]

    @property
    def is_bad(self) -> bool:
        """Whether an operator must look."""
        return any(job.state in BAD for job in self.jobs)


def look(services: Sequence[tuple[Service, Settings]], processes: Sequence[Process]) -> Status:
    """Ask every database that these services use; raises nothing for one that is away."""
    by_database: dict[str, list[tuple[Service, Settings]]] = {}
    for service, settings in services:
        by_database.setdefault(Database(settings).name, []).append((service, settings))
    jobs: list[Job] = []
    servers: list[Server] = []
    for name, users in by_database.items():
        server, found = _ask(name, users)
        servers.append(server)
        jobs += found
    order = [service.name for service, _ in services]
    jobs.sort(key=lambda job: order.index(job.service))
    up = {process.service for process in processes if process.is_up}
    down = {process.service for process in processes if process.manager} - up
    jobs = [replace(job, next_run=None) if job.service in down else job for job in jobs]
    return Status(jobs, servers, processes)


def _ask(name: str, users: Sequence[tuple[Service, Settings]]) -> tuple[Server, list[Job]]:
    names = [service.name for service, _ in users]
    jobs = [
        (service.name, scheduler, settings)
        for service, settings in users
        for scheduler in service.schedulers
    ]
    try:
        # Not named like a worker's session: those are looked for.
        database = Database(users[0][1], application_name="toast status")
        with database.connect_for(ANSWER_SECONDS) as connection:
            migrations.require(connection, may_apply=False)
            history = _History(connection, jobs)
            server = Server(name, names, history.now, outbox.summary(connection))
    except (psycopg.Error, PassError) as error:
        fault = " ".join(redact(advised(str(error), error)).split())
        return Server(name, names, fault=fault), [
            _unknown(service, scheduler, settings) for service, scheduler, settings in jobs
        ]
    return server, [history.job(*job) for job in jobs]


def _unknown(service: str, scheduler: Scheduler, settings: Settings) -> Job:
    enabled = settings[scheduler.enabled]
    return Job(
        service,
        scheduler.name,
        enabled,
        settings[scheduler.interval].total_seconds(),
        UNKNOWN if enabled else DISABLED,
    )


class _History:
    """What the run history of one database says."""

    def __init__(
        self, connection: Session, jobs: Sequence[tuple[str, Scheduler, Settings]]
    ) -> None:
        keys = {
            "services": [service for service, _, _ in jobs],
            "schedulers": [scheduler.name for _, scheduler, _ in jobs],
        }
        row = connection.execute(_NOW).fetchone()
        assert row is not None
        self.now: datetime = row["now"]
        self._sessions = {each["name"] for each in connection.execute(_SESSIONS)}
        self._recent: dict[tuple[str, str], list[dict[str, Any]]] = {}
        for run in connection.execute(_RECENT, keys):
            self._recent.setdefault((run["service"], run["scheduler"]), []).append(run)
        self._totals = {
            (each["service"], each["scheduler"]): each for each in connection.execute(_TOTALS, keys)
        }

    def job(self, service: str, scheduler: Scheduler, settings: Settings) -> Job:
        runs = self._recent.get((service, scheduler.name), [])
        totals = self._totals[service, scheduler.name]
        interval = settings[scheduler.interval].total_seconds()
        enabled = settings[scheduler.enabled]
        ended = [run for run in runs if run["result"] is not None]
        # A stop says nothing about the work, and a pass left to another process neither.
        telling = next((run for run in ended if run["result"] in ("ok", "failed")), None)
        under_way = self._under_way(service, runs)
        state = self._state(enabled, interval, telling, under_way, totals["last_success"])
        shown = under_way or telling or next(iter(ended), None)
        next_run = shown["started_at"] + timedelta(seconds=interval) if shown else None
        return Job(
            service,
            scheduler.name,
            enabled,
            interval,
            state,
            shown["started_at"] if shown else None,
            _seconds(telling) if telling else None,
            telling["counts"] if telling else {},
            totals["last_success"],
            next_run if enabled and state != FAILING else None,
            totals["runs"],
            totals["failures"],
            [_seconds(run) for run in reversed(ended)],
            telling["error"] if telling else "",
        )

    def _state(
        self,
        enabled: bool,
        interval: float,
        telling: dict[str, Any] | None,
        under_way: dict[str, Any] | None,
        last_success: datetime | None,
    ) -> str:
        patience = timedelta(seconds=overdue_after(interval))
        if not enabled:
            return DISABLED
        if under_way and self.now - under_way["started_at"] <= patience:
            return RUNNING
        if telling and telling["result"] == "failed":
            return FAILING
        if last_success is None:
            return NEVER_RAN
        return OVERDUE if self.now - last_success > patience else OK

    def _under_way(self, service: str, runs: Sequence[dict[str, Any]]) -> dict[str, Any] | None:
        """The pass that is running, if one is: what a killed process began never ends."""
        later: set[str] = set()
        for run in runs:
            superseded = run["host"] in later
            later.add(run["host"])
            if run["result"] is None and not superseded and self._is_alive(service, run):
                return run
        return None

    def _is_alive(self, service: str, run: dict[str, Any]) -> bool:
        if run["host"] == socket.gethostname():
            return Path(f"/proc/{run['process']}").exists()
        # Of another machine's processes only their connections can be seen from here.
        return f"toast-{service}" in self._sessions


def _seconds(run: Mapping[str, Any]) -> float:
    taken: timedelta = run["finished_at"] - run["started_at"]
    return taken.total_seconds()
