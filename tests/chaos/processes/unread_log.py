"""A worker whose log is frozen, read again, gone, full or closed does its work and stops."""

from __future__ import annotations

import resource
import signal
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from random import Random

from devservers.child_processes import poll_until
from testing.arena import Arena
from testing.processes import STOP_SECONDS, Process
from tests.chaos.campaign import Campaign, Figures, Limit, Round
from tests.chaos.stage import NOTHING_LOST, SCHEDULERS, Stage, staged

DUE_ROWS = 100
# What fills the pipe of a log in a second.
_TALKATIVE = {"LOG_LEVEL": "debug"}


def play(arena: Arena, current: Round) -> Figures:
    """One log after another for the worker of one scheduler; then one more finds nothing lost."""
    with staged(arena, SCHEDULERS[current.number % len(SCHEDULERS)], DUE_ROWS) as stage:
        stops = [_stop(log, current.dice, stage) for log in _LOGS]
        stage.workload.time_passes()
        return {
            **stage.settle(),
            "workers": len(stops),
            "slowest stop": max(seconds for _, seconds in stops),
            "other exits": sum(code != 0 for code, _ in stops),
        }


def _stop(log: _Log, dice: Random, stage: Stage) -> tuple[int | None, float]:
    """Run a worker with this log, and stop it; its exit code, and the seconds of the stop."""
    with log(stage, dice) as worker:
        time.sleep(dice.uniform(0.5, 1.5))
        asked = time.monotonic()
        worker.send(signal.SIGTERM)
        poll_until(lambda: worker.ended is not None, STOP_SECONDS * 1.5)
        return worker.ended, time.monotonic() - asked


@contextmanager
def _frozen(stage: Stage, dice: Random) -> Iterator[Process]:
    """The reader stops, comes back, and stops again."""
    with stage.worker(**_TALKATIVE) as worker:
        worker.wait_for("worker_started")
        worker.freeze_log()
        time.sleep(dice.uniform(0.5, 1.5))
        worker.read_log()
        time.sleep(dice.uniform(0, 0.2))
        worker.freeze_log()
        yield worker


@contextmanager
def _abandoned(stage: Stage, dice: Random) -> Iterator[Process]:
    """The reader dies, after it was frozen for a while."""
    with stage.worker(**_TALKATIVE) as worker:
        worker.wait_for("worker_started")
        worker.freeze_log()
        time.sleep(dice.uniform(0, 1))
        worker.abandon_log()
        yield worker


@contextmanager
def _full(stage: Stage, dice: Random) -> Iterator[Process]:
    """The log's disk is full from some size on, and has room again for every other worker."""
    with tempfile.NamedTemporaryFile() as log:
        env = {**stage.env, **_TALKATIVE}
        with Process(stage.module, env=env, redirect=f"2>>{log.name}") as worker:
            poll_until(lambda: "worker_started" in Path(log.name).read_text(), STOP_SECONDS)
            before = resource.prlimit(worker.pid, resource.RLIMIT_FSIZE, (1_000, -1))
            time.sleep(dice.uniform(0, 1))
            if dice.random() < 0.5:
                resource.prlimit(worker.pid, resource.RLIMIT_FSIZE, before)
            yield worker


@contextmanager
def _closed(stage: Stage, dice: Random) -> Iterator[Process]:
    """The worker starts without some of its standard files."""
    redirect = dice.choice(("2>&-", ">&- 2>&-", "<&- >&- 2>&-", "2>/dev/full"))
    with Process(stage.module, env={**stage.env, **_TALKATIVE}, redirect=redirect) as worker:
        # It says nothing; until its signals are masked, it ends as any program does.
        poll_until(lambda: worker.threads > 2, STOP_SECONDS)
        yield worker


_Log = Callable[[Stage, Random], AbstractContextManager[Process]]
_LOGS = (_frozen, _abandoned, _full, _closed)

CAMPAIGN = Campaign(
    name="unread-log",
    promise="a log that cannot be written delays neither work nor stop",
    faults="the log frozen and read again, its reader killed, its disk full, closed at the start",
    limits=(
        Limit("workers"),
        Limit("slowest stop", most=STOP_SECONDS, unit=" s", merge=max),
        Limit("other exits", most=0),
        *NOTHING_LOST,
    ),
    play=play,
    rounds=50,
    small_rounds=1,
)
