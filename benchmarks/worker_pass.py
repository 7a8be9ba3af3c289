"""One pass by a worker's real process, started like an operator's, with its time and memory."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from datetime import UTC, datetime

from common.scheduling.scheduler import Scheduler
from devservers.child_processes import poll_until
from testing.database import TestDatabase
from testing.processes import NO_BROKER, Process, environment, toast
from testing.usage import cpu_seconds, cpu_seconds_of_family, server_of
from testing.workload import only, service_of

PASS_SECONDS = 900.0
# Only the first pass runs.
INTERVAL = "24h"
FULL_SPEED = {"TOAST_RETENTION_SHARE": "1"}
# Six days of old links that expired every other minute.
RECENT = 6 * 24 * 30


@dataclass(frozen=True, slots=True)
class Measured:
    """``seconds`` from the start of the pass, and ``from_start`` of the process, until its last
    change is committed and its last event stored by the broker; its peak memory; and the seconds of
    CPU that the worker, apart from its start, and PostgreSQL used."""

    seconds: float
    from_start: float
    megabytes: float
    cpu: float = 0.0
    cpu_of_postgres: float = 0.0


def measure(
    database: TestDatabase, scheduler: Scheduler, due: int, brokers: str = NO_BROKER
) -> Measured:
    """Run the scheduler's worker until ``due`` rows are done and their events are published.

    AssertionError if it does another number of rows.
    """
    started_at = datetime.now(UTC)
    service = service_of(scheduler)
    settings = {**only(scheduler, INTERVAL), **FULL_SPEED}
    env = environment(database, brokers, **settings)
    postgres = server_of(database)
    with Process(f"workers.{service}", env=env) as worker:
        worker.wait_for("worker_started")
        before = cpu_seconds(worker.pid), cpu_seconds_of_family(postgres)
        run = worker.wait_for("pass_finished", seconds=PASS_SECONDS, scheduler=scheduler.name)
        assert (run["result"], run["processed"]) == ("ok", due), run
        ended_at = _time(run["time"])
        seconds = float(run["seconds"])
        if run["events"]:
            published_at = _published_at(worker, run["events"])
            seconds += max(0.0, (published_at - ended_at).total_seconds())
            ended_at = max(ended_at, published_at)
        cpu = cpu_seconds(worker.pid) - before[0]
        of_postgres = cpu_seconds_of_family(postgres) - before[1]
        megabytes = worker.peak_memory * 2**20 / 1e6
    from_start = (ended_at - started_at).total_seconds()
    return Measured(seconds, from_start, megabytes, cpu, of_postgres)


def take_over(database: TestDatabase, scheduler: Scheduler, due: int, brokers: str) -> Measured:
    """The same by `toast takeover`, with events for what became due within the last week."""
    started = time.monotonic()
    options = (scheduler.name, "--announce", "since:7d", "--yes", "--json")
    env = environment(database, brokers)
    answer = toast("takeover", service_of(scheduler), *options, env=env, seconds=PASS_SECONDS)
    from_start = time.monotonic() - started
    done = json.loads(answer.out)["done"]
    [run] = done["schedulers"]
    assert (run["result"], run["counts"]["processed"]) == ("ok", due), run
    assert 0 < done["published"] == run["counts"]["events"] <= RECENT, done
    return Measured(run["seconds"], from_start, 0.0)


def _published_at(worker: Process, expected: int) -> datetime:
    """The time at which the worker logged the last event as published."""

    def published() -> int:
        return sum(record["published"] for record in worker.records("events_published"))

    poll_until(lambda: published() >= expected, PASS_SECONDS)
    assert published() == expected, f"{published()} events published, expected {expected}"
    return _time(worker.records("events_published")[-1]["time"])


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text)
