"""The result of every scheduler's first pass since the launch, from the run history."""

import socket
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import psycopg
from psycopg.rows import DictRow

import workers
from common.config import Settings, SettingsError
from common.database.connection import Database
from common.scheduling import service_settings
from common.scheduling.scheduler import Scheduler
from common.scheduling.service import Service
from demo.supervisor import WorkerProgram

# A worker of an earlier launch may have had the same process number.
_FIRST_RUNS = """
SELECT DISTINCT ON (scheduler) scheduler, result, counts, error, next_at,
       extract(epoch FROM finished_at - started_at)::float AS seconds
FROM toast_runs
WHERE service = %(service)s AND host = %(host)s AND process = %(process)s
  AND result IS NOT NULL
  AND started_at > clock_timestamp() - %(seconds_since_launch)s * interval '1 second'
ORDER BY scheduler, started_at"""

_WAITING_EVENTS = "SELECT count(*) AS count FROM toast_outbox WHERE service = %(service)s"

# The difference allowed between the clocks of this machine and the database.
CLOCK_TOLERANCE_SECONDS = 60.0

SUCCEEDED = ("ok", "skipped", "disabled")


@dataclass(frozen=True, slots=True)
class Plan:
    """One service and its settings, or their faults."""

    service: Service
    settings: Settings | None
    faults: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Outcome:
    """One scheduler's line of the report; times are None until a pass has ended. After a failed
    one the next run is soon, at a time that only its worker knows."""

    service: str
    scheduler: str
    state: str
    processed: int = 0
    events: int = 0
    seconds: float | None = None
    next_run: datetime | None = None
    problem: str = ""

    @property
    def succeeded(self) -> bool:
        return self.state in SUCCEEDED


def read_plans() -> list[Plan]:
    """Every service with its settings, as its worker reads them."""
    return [_read_plan(workers.load(name)) for name in workers.SERVICES]


def _read_plan(service: Service) -> Plan:
    try:
        return Plan(service, service_settings.load(service, complete=False))
    except SettingsError as error:
        return Plan(service, None, error.faults)


class FirstRound:
    """The outcomes of the first round; `update` adds those that are new."""

    def __init__(self, plans: list[Plan]) -> None:
        self._plans = plans
        self._launched_at = time.monotonic()
        self._processes: dict[str, int] = {}
        self._outcomes = {
            (plan.service.name, scheduler.name): _initial(plan, scheduler)
            for plan in plans
            for scheduler in plan.service.schedulers
        }

    @property
    def outcomes(self) -> list[Outcome]:
        """One per scheduler, in order; state "waiting" until the first pass has ended."""
        return list(self._outcomes.values())

    @property
    def waiting(self) -> list[str]:
        """The schedulers whose first pass has not ended."""
        return [
            f"{outcome.service} {outcome.scheduler}"
            for outcome in self.outcomes
            if outcome.state == "waiting"
        ]

    def update(self, processes: Mapping[str, WorkerProgram]) -> None:
        """Read the workers' states, and the run history of those with waiting schedulers."""
        for plan in self._plans:
            worker = processes.get(plan.service.name)
            if worker is None or plan.settings is None or not self._waiting_schedulers(plan):
                continue
            first = self._processes.setdefault(plan.service.name, worker.process)
            self._read_runs(plan, plan.settings, first)
            if worker.state not in ("STARTING", "RUNNING") or worker.process != first:
                self._give_up(plan, worker)

    def waiting_events(self) -> int:
        """How many events wait in the outboxes; 0 also while a database is away."""
        return sum(_waiting_events(plan) for plan in self._plans if plan.service.topics)

    def _waiting_schedulers(self, plan: Plan) -> list[Scheduler]:
        return [
            scheduler
            for scheduler in plan.service.schedulers
            if self._outcomes[plan.service.name, scheduler.name].state == "waiting"
        ]

    def _read_runs(self, plan: Plan, settings: Settings, process: int) -> None:
        elapsed = time.monotonic() - self._launched_at
        parameters = {
            "service": plan.service.name,
            "host": socket.gethostname(),
            "process": process,
            "seconds_since_launch": elapsed + CLOCK_TOLERANCE_SECONDS,
        }
        runs = {row["scheduler"]: row for row in _query(settings, _FIRST_RUNS, parameters)}
        for scheduler in self._waiting_schedulers(plan):
            if scheduler.name in runs:
                self._outcomes[plan.service.name, scheduler.name] = _ended(
                    plan.service, scheduler, runs[scheduler.name]
                )

    def _give_up(self, plan: Plan, worker: WorkerProgram) -> None:
        name = plan.service.name
        problem = (
            f"toast-{name} ended with status {worker.exit_status}; see .run/log/toast-{name}.log"
        )
        for scheduler in self._waiting_schedulers(plan):
            self._outcomes[name, scheduler.name] = Outcome(
                name, scheduler.name, "failed", problem=problem
            )


def _initial(plan: Plan, scheduler: Scheduler) -> Outcome:
    name = plan.service.name
    if plan.settings is None:
        return Outcome(name, scheduler.name, "failed", problem="; ".join(plan.faults))
    state = "waiting" if plan.settings[scheduler.enabled] else "disabled"
    return Outcome(name, scheduler.name, state)


def _ended(service: Service, scheduler: Scheduler, run: DictRow) -> Outcome:
    return Outcome(
        service.name,
        scheduler.name,
        run["result"],
        run["counts"].get("processed", 0),
        run["counts"].get("events", 0),
        run["seconds"],
        run["next_at"],
        run["error"],
    )


def _waiting_events(plan: Plan) -> int:
    if plan.settings is None:
        return 0
    rows = _query(plan.settings, _WAITING_EVENTS, {"service": plan.service.name})
    return rows[0]["count"] if rows else 0


def _query(settings: Settings, statement: str, parameters: Mapping[str, Any]) -> list[DictRow]:
    """The rows; none while the database is away or its tables do not exist yet."""
    try:
        with Database(settings).connect() as connection:
            return connection.execute(statement, parameters).fetchall()
    except (psycopg.OperationalError, psycopg.errors.UndefinedTable):
        return []
