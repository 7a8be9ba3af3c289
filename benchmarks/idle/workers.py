"""The cost of all eight workers while nothing is due and no metrics are scraped.

They run as under supervisord and systemd, with default settings and without Sentry. The
measurement begins after every first pass, and lasts for one interval of the publishers' checks of
the outbox.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import workers
from benchmarks.benchmark import Benchmark, Figures, Goal
from common.worker.publisher_thread import IDLE_SECONDS, SWEEP_SECONDS
from demo import remotes
from devservers.child_processes import free_port
from testing.arena import Arena
from testing.database import TestDatabase
from testing.processes import Process, environment
from testing.usage import cpu_seconds, proportional_set_size

SAMPLE_SECONDS = 1.0
ESTABLISHED = "01"  # in /proc/net/tcp

_CONNECTIONS = """
SELECT count(*) AS open FROM pg_stat_activity
WHERE datname = %s AND application_name LIKE 'toast-%%' GROUP BY application_name"""

# The libraries that every worker needs; one of them calls the SSE service.
_LIBRARIES = ("psycopg, grpc", *["psycopg"] * 7)
_IMPORT = "import {}; print('ready', flush=True); input()"

GOALS = (
    Goal("memory", 190, " MB"),
    Goal("psycopg and gRPC alone, as they come", unit=" MB"),
    Goal("CPU", 0.05, " % of a core"),
    Goal("wake-ups a minute"),
    Goal("most connections to PostgreSQL of one worker", 2),
    # One to find the brokers, one to the broker.
    Goal("most connections to Kafka of one worker", 2),
    Goal("start to first pass", 400, " ms"),
)


@dataclass(frozen=True, slots=True)
class _Usage:
    """CPU seconds and wake-ups of processes since they started."""

    cpu: float
    wakeups: int


def play(arena: Arena) -> Figures:
    """Start the eight, one after another, wait until they are idle, and measure them."""
    libraries = _memory_of_libraries()
    with ExitStack() as stack:
        database = stack.enter_context(arena.database())
        # As in an installation: compiling the modules takes time and memory.
        bytecode = stack.enter_context(tempfile.TemporaryDirectory())
        env = {"PYTHONPYCACHEPREFIX": bytecode, "PYTHONDONTWRITEBYTECODE": ""}
        with _fleet(arena, database, env):
            pass  # this writes the bytecode
        fleet, slowest = stack.enter_context(_fleet(arena, database, env))
        time.sleep(IDLE_SECONDS + SAMPLE_SECONDS)
        return {
            **_measure(fleet, database, arena),
            "psycopg and gRPC alone, as they come": libraries,
            "start to first pass": slowest,
        }


@contextmanager
def _fleet(
    arena: Arena, database: TestDatabase, env: Mapping[str, str]
) -> Iterator[tuple[list[Process], float]]:
    """The workers after their first passes, and the longest time to one in milliseconds."""
    with ExitStack() as stack:
        stand_ins = remotes.start(stack).settings
        # WEBHOOK_DELIVERY_ENABLED as by default, unlike the stand-ins' settings. The start of a
        # pass is only logged at debug; an idle worker logs nothing at any level.
        settings = {**env, **stand_ins, "WEBHOOK_DELIVERY_ENABLED": "false", "LOG_LEVEL": "debug"}
        fleet: list[Process] = []
        slowest = 0.0
        for name in workers.SERVICES:
            settings["METRICS_PORT"] = str(free_port())
            began = time.time()
            worker = Process(
                "workers", "run", name, env=environment(database, arena.kafka.address, **settings)
            )
            fleet.append(stack.enter_context(worker))
            slowest = max(slowest, 1000 * (_first_pass(worker) - began))
        yield fleet, slowest


def _first_pass(worker: Process) -> float:
    """Its Unix time; waits until the first pass of every scheduler has ended."""
    for scheduler in worker.wait_for("worker_started")["schedulers"].split(","):
        worker.wait_for("pass_finished", scheduler=scheduler, result="ok")
    return datetime.fromisoformat(worker.wait_for("pass_started")["time"]).timestamp()


def _measure(fleet: list[Process], database: TestDatabase, arena: Arena) -> Figures:
    pids = [worker.pid for worker in fleet]
    kafka_port = int(arena.kafka.address.rpartition(":")[2])
    postgres = kafka = 0
    with database.connect() as observer:
        before, began = _usage(pids), time.monotonic()
        while time.monotonic() - began < SWEEP_SECONDS:
            time.sleep(SAMPLE_SECONDS)
            rows = observer.execute(_CONNECTIONS, (database.name,)).fetchall()
            postgres = max(postgres, 0, *(row["open"] for row in rows))
            kafka = max(kafka, *(_connections(pid, kafka_port) for pid in pids))
        seconds, after = time.monotonic() - began, _usage(pids)
    return {
        "memory": sum(map(proportional_set_size, pids)),
        "CPU": 100 * (after.cpu - before.cpu) / seconds,
        "wake-ups a minute": 60 * (after.wakeups - before.wakeups) / seconds,
        "most connections to PostgreSQL of one worker": postgres,
        "most connections to Kafka of one worker": kafka,
    }


def _usage(pids: Iterable[int]) -> _Usage:
    return _Usage(sum(map(cpu_seconds, pids)), sum(map(_wakeups, pids)))


def _wakeups(pid: int) -> int:
    statuses = (task.read_text() for task in Path(f"/proc/{pid}/task").glob("*/status"))
    counts = (status.split("\nvoluntary_ctxt_switches:")[1].split()[0] for status in statuses)
    return sum(map(int, counts))


def _connections(pid: int, port: int) -> int:
    """Its number of TCP connections to this port."""
    links = {str(path.readlink()) for path in Path(f"/proc/{pid}/fd").iterdir()}
    return sum(
        remote.endswith(f":{port:04X}") and state == ESTABLISHED and f"socket:[{inode}]" in links
        for _, _, remote, state, *_, inode in _sockets(pid)
    )


def _sockets(pid: int) -> Iterator[list[str]]:
    """The fields up to the inode of each TCP socket in its network namespace (/proc/net/tcp)."""
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/{pid}/net/{table}").read_text().splitlines()[1:]:
            yield line.split()[:10]


def _memory_of_libraries() -> float:
    """MB of eight processes that have only imported the needed libraries."""
    with ExitStack() as stack:
        pids = []
        for names in _LIBRARIES:
            process = stack.enter_context(
                subprocess.Popen(
                    [sys.executable, "-c", _IMPORT.format(names)],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                )
            )
            stack.callback(process.kill)
            assert process.stdout is not None
            assert process.stdout.readline() == b"ready\n"
            pids.append(process.pid)
        return sum(map(proportional_set_size, pids))


BENCHMARKS = (Benchmark("idle", "all eight workers while they are idle", play, GOALS),)
