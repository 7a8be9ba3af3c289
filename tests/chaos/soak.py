"""A day at sixty times its speed: all eight workers, and a fault every second of the wall clock.

Intervals are a sixtieth of the usual ones. One set of workers is never killed, and must be as it
was in the beginning; beside it one worker of the dice's choice comes and goes.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import Any

import workers
from chaos.arena import Arena
from chaos.campaign import Campaign, Figures, Limit, Round
from chaos.remote_worlds import REMOTE
from common.config import Variable
from database import TestDatabase
from demo.processes import poll_until
from processes import PATIENCE, Process, environment
from scheduler_cases import link, post, stream

SPEED = 60
FAULT_SECONDS = 1.0
OUTAGE_SECONDS = 0.5
# Calls to each of the remote sides; the rest of a day's are on rows.
CALLS = 20
# The rows that come in with each fault.
COMING = (post, link, stream)


def play(arena: Arena, current: Round) -> Figures:
    """Run all workers under faults, and look at what they hold and have said."""
    seconds = current.size(24 * 3600 / SPEED, 12)
    with arena.database() as database, ExitStack() as stack:
        settings = _hurried()
        for remote in REMOTE.values():
            world = stack.enter_context(remote.open(database))
            world.fill(CALLS)
            settings |= world.settings
        env = environment(database, arena.kafka.address, **settings)
        started = {
            name: stack.enter_context(Process(f"workers.{name}", env=env))
            for name in workers.SERVICES
        }
        for worker in started.values():
            worker.wait_for("pass_finished")
        _faults(arena, database, env, current.dice, seconds / 4)
        before = {name: _held(worker) for name, worker in started.items()}
        faults = _faults(arena, database, env, current.dice, seconds)
        left = _settle(database)
        after = {name: _held(worker) for name, worker in started.items()}
        return {
            "faults": faults,
            "memory": max(after[name].memory - before[name].memory for name in started),
            "descriptors": max(after[name].files - before[name].files for name in started),
            "threads": max(after[name].threads - before[name].threads for name in started),
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


@dataclass(frozen=True, slots=True)
class Held:
    """What a process holds: MiB, file descriptors, threads."""

    memory: int
    files: int
    threads: int


def _held(worker: Process) -> Held:
    """The least of some looks: a pass that runs just now holds more."""
    looks = []
    for _ in range(20):
        threads = len(list(Path(f"/proc/{worker.pid}/task").iterdir()))
        looks.append((worker.memory, worker.open_files, threads))
        time.sleep(0.05)
    return Held(*(min(column) for column in zip(*looks, strict=True)))


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
        arena.postgres.stop(dice.choice(("fast", "immediate")))
        yield
        arena.postgres.start()
    else:
        frozen = arena.postgres if kind == "freeze" else arena.kafka
        frozen.freeze()
        yield
        frozen.thaw()


def _settle(database: TestDatabase) -> int:
    """Wait until nothing is due any more; how many rows and events are left behind."""

    def left() -> int:
        [row] = database.query(
            "SELECT (SELECT count(*) FROM link_links WHERE is_active)"
            " + (SELECT count(*) FROM twitchbot_streams WHERE is_active AND updated_at < %s)"
            " + (SELECT count(*) FROM toast_outbox) AS left",
            datetime(2025, 1, 1, tzinfo=UTC),
        )
        count: int = row["left"]
        return count

    poll_until(lambda: not left(), PATIENCE + 60)
    return left()


def _unhandled(worker: Process) -> int:
    """Records that show a defect, not an outage."""
    threads = len(worker.records("thread_died"))
    return threads + worker.log.count('"traceback"') + worker.log.count("Traceback (most recent")


CAMPAIGN = Campaign(
    name="soak",
    promise="a day leaves nothing behind",
    faults="24 hours at 60 times the speed, a fault a second: kills, cut, frozen, stopped",
    limits=(
        Limit("faults"),
        Limit("memory", most=5, unit=" MB", merge=max),
        Limit("descriptors", most=0, merge=max),
        Limit("threads", most=0, merge=max),
        Limit("process exits", most=0),
        Limit("unhandled exceptions", most=0),
        Limit("lost", most=0),
    ),
    play=play,
)
