"""A day at sixty times its speed: all eight workers, and a fault every second of the wall clock.

Intervals are a sixtieth of the usual ones. One set of workers is never killed, and must be as it
was in the beginning; beside it one worker of the dice's choice comes and goes.
"""

import os
import signal
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from random import Random
from typing import Any

import workers
from common.config import Variable
from devservers.child_processes import PATIENCE, poll_until
from testing.arena import Arena
from testing.database import TestDatabase
from testing.processes import Process, environment
from testing.scheduler_cases.blog import post
from testing.scheduler_cases.link import link
from testing.scheduler_cases.twitchbot import stream
from tests.chaos.campaign import Campaign, Figures, Limit, Round, never
from tests.chaos.outages import away
from tests.chaos.remote_workloads import REMOTE

SPEED = 60
FAULT_SECONDS = 1.0
OUTAGE_SECONDS = 0.5
# At the small size; `make soak` has the time for leaks that show only after a while.
SMALL_SECONDS = float(os.environ.get("SOAK_SECONDS", "12"))
# What is looked at in every process.
HELD = ("memory", "descriptors", "threads")
# Calls to each of the remote sides; the rest of a day's are on rows.
CALLS = 20
# The rows that come in with each fault.
COMING = (post, link, stream)


def play(arena: Arena, current: Round) -> Figures:
    """Run all workers under faults; compare the resources that they hold before and after."""
    seconds = current.size(24 * 3600 / SPEED, SMALL_SECONDS)
    with arena.database() as database, ExitStack() as stack:
        settings = _hurried()
        for remote in REMOTE.values():
            workload = stack.enter_context(remote.open(database))
            workload.fill(CALLS)
            settings |= workload.settings
        env = environment(database, arena.kafka.address, **settings)
        started = {
            name: stack.enter_context(Process(f"workers.{name}", env=env, fresh=True))
            for name in workers.SERVICES
        }
        for worker in started.values():
            worker.wait_for("pass_finished")
        _faults(arena, database, env, current.dice, seconds / 4)
        before = _held_by(started, current)
        faults = _faults(arena, database, env, current.dice, seconds)
        for worker in started.values():
            worker.send(signal.SIGUSR1)
        left = _settle(database)
        after = _held_by(started, current)
        return {
            "faults": faults,
            **{
                name: max(after[worker][name] - before[worker][name] for worker in started)
                for name in HELD
            },
            "process exits": sum(worker.ended is not None for worker in started.values()),
            "unhandled exceptions": sum(_unhandled(worker) for worker in started.values()),
            "lost": left,
        }


def _hurried() -> dict[str, str]:
    """Every interval a sixtieth of its default; alerts keep theirs, for they would repeat."""
    hurried = {}
    for name in workers.SERVICES:
        for scheduler in workers.load(name).schedulers:
            if name not in ("foodfolio", "warcraft"):
                hurried[scheduler.interval.name] = f"{_seconds(scheduler.interval) / SPEED:g}s"
    return hurried


def _seconds(interval: Variable[Any]) -> float:
    return float(interval.parse(interval.default or "").total_seconds())


def _held_by(started: dict[str, Process], current: Round) -> dict[str, dict[str, int]]:
    """The least that each process holds in some looks: while it works it holds more."""
    looks: dict[str, list[tuple[int, ...]]] = {name: [] for name in started}
    # Longer than a publisher keeps its connections.
    ends_at = time.monotonic() + current.size(90, 1)
    while time.monotonic() < ends_at:
        for name, worker in started.items():
            looks[name].append((worker.memory, worker.open_files, worker.threads))
        time.sleep(0.2)
    least = {name: map(min, zip(*taken, strict=True)) for name, taken in looks.items()}
    return {name: dict(zip(HELD, figures, strict=True)) for name, figures in least.items()}


def _faults(
    arena: Arena, database: TestDatabase, env: dict[str, str], dice: Random, seconds: float
) -> int:
    """Let something go wrong every second; returns how often it did."""
    faults, ends_at = 0, time.monotonic() + seconds
    while time.monotonic() < ends_at:
        next_at = time.monotonic() + FAULT_SECONDS
        for row in COMING:
            row().insert(database)
        with _fault(arena, database, env, dice):
            time.sleep(OUTAGE_SECONDS)
        faults += 1
        time.sleep(max(0.0, next_at - time.monotonic()))
    return faults


@contextmanager
def _fault(
    arena: Arena, database: TestDatabase, env: dict[str, str], dice: Random
) -> Iterator[None]:
    kind = dice.choice(("kill", "kill", "terminate", "terminate", "restart", "freeze", "kafka"))
    if kind == "kill":
        with Process(f"workers.{dice.choice(workers.SERVICES)}", env=env):
            yield
    elif kind == "terminate":
        database.query(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE application_name LIKE 'toast-%'"
        )
        yield
    elif kind == "restart":
        with away(arena.postgres, dice.choice(("stopped", "crashed"))):
            yield
    else:
        with away(arena.postgres if kind == "freeze" else arena.kafka, "frozen"):
            yield


def _settle(database: TestDatabase) -> int:
    """Wait until nothing is due any more; how many rows and events are left behind."""

    def left() -> int:
        return (
            database.count("link_links WHERE is_active")
            + database.count(
                "twitchbot_streams WHERE is_active AND updated_at < '2025-01-01 00:00Z'"
            )
            + database.count("toast_outbox")
        )

    poll_until(lambda: not left(), PATIENCE + 60)
    return left()


def _unhandled(worker: Process) -> int:
    """Records that show a defect, not an outage."""
    threads = len(worker.records("exception_uncaught"))
    return threads + worker.log.count('"traceback"') + worker.log.count("Traceback (most recent")


CAMPAIGN = Campaign(
    name="soak",
    promise="a day leaves nothing behind",
    faults="24 hours at 60 times the speed, a fault a second: kills, cut, frozen, stopped",
    limits=(
        Limit("faults"),
        Limit("memory", most=5, unit=" MB", merge=max, at_full_size=True),
        Limit("descriptors", most=0, merge=max, at_full_size=True),
        Limit("threads", most=0, merge=max, at_full_size=True),
        *never("process exits", "unhandled exceptions", "lost"),
    ),
    play=play,
)
