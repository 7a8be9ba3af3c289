"""What all eight workers together cost while there is nothing to do and nobody scrapes.

They run as supervisord and systemd run them, with default settings and Sentry off. Watching begins
when every first pass is over, and lasts as long as a publisher takes from one look into the outbox
to the next.
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

LOOK_SECONDS = 1.0
ESTABLISHED = "01"  # in /proc/net/tcp

_CONNECTIONS = """
SELECT count(*) AS open FROM pg_stat_activity
WHERE datname = %s AND application_name LIKE 'toast-%%' GROUP BY application_name"""

# What no worker can do without; one of them calls the SSE service.
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
    """What processes have used since they started."""

    cpu: float
    wakeups: int


def play(arena: Arena) -> Figures:
    """Start the eight, one after another, wait until they are idle, and watch them."""
    libraries = _memory_of_libraries()
    with ExitStack() as stack:
        database = stack.enter_context(arena.database())
        # As an installation has it: who compiles his own modules starts late and stays big.
        bytecode = stack.enter_context(tempfile.TemporaryDirectory())
        env = {"PYTHONPYCACHEPREFIX": bytecode, "PYTHONDONTWRITEBYTECODE": ""}
        with _fleet(arena, database, env):
            pass  # they have written it
        fleet, slowest = stack.enter_context(_fleet(arena, database, env))
        time.sleep(IDLE_SECONDS + LOOK_SECONDS)
        return {
            **_watch(fleet, database, arena),
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
        # The default; the stand-ins are made for a demonstration of everything. And the start
        # of a pass is logged at debug only; once idle, a worker logs nothing at any level.
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
    """When it began, in Unix time; waits until the first pass of every scheduler is over."""
    for scheduler in worker.wait_for("worker_started")["schedulers"].split(","):
        worker.wait_for("pass_finished", scheduler=scheduler, result="ok")
    return datetime.fromisoformat(worker.wait_for("pass_started")["time"]).timestamp()


def _watch(fleet: list[Process], database: TestDatabase, arena: Arena) -> Figures:
    pids = [worker.pid for worker in fleet]
    kafka_port = int(arena.kafka.address.rpartition(":")[2])
    postgres = kafka = 0
    with database.connect() as observer:
        before, began = _usage(pids), time.monotonic()
        while time.monotonic() - began < SWEEP_SECONDS:
            time.sleep(LOOK_SECONDS)
            rows = observer.execute(_CONNECTIONS, (database.name,)).fetchall()
            postgres = max(postgres, 0, *(row["open"] for row in rows))
            kafka = max(kafka, *(_connections(pid, kafka_port) for pid in pids))
        seconds, after = time.monotonic() - began, _usage(pids)
    return {
        "memory": sum(map(_proportional_set_size, pids)),
        "CPU": 100 * (after.cpu - before.cpu) / seconds,
        "wake-ups a minute": 60 * (after.wakeups - before.wakeups) / seconds,
        "most connections to PostgreSQL of one worker": postgres,
        "most connections to Kafka of one worker": kafka,
    }


def _usage(pids: Iterable[int]) -> _Usage:
    return _Usage(sum(map(_cpu, pids)), sum(map(_wakeups, pids)))


def _cpu(pid: int) -> float:
    """Seconds of CPU of all its threads, also of those that have ended."""
    # As clock_getcpuclockid(3) numbers the clock of a process: to the nanosecond, where
    # /proc has clock ticks.
    return time.clock_gettime((~pid << 3) | 2)


def _wakeups(pid: int) -> int:
    statuses = (task.read_text() for task in Path(f"/proc/{pid}/task").glob("*/status"))
    return sum(int(_field(status, "voluntary_ctxt_switches")) for status in statuses)


def _proportional_set_size(pid: int) -> float:
    """MB of memory, where a page that n processes share counts as an n-th of one."""
    return int(_field(Path(f"/proc/{pid}/smaps_rollup").read_text(), "Pss")) * 1024 / 1e6


def _field(status: str, name: str) -> str:
    return status.split(f"\n{name}:")[1].split()[0]


def _connections(pid: int, port: int) -> int:
    """How many TCP connections it has to this port of another process."""
    links = {str(path.readlink()) for path in Path(f"/proc/{pid}/fd").iterdir()}
    return sum(
        remote.endswith(f":{port:04X}") and state == ESTABLISHED and f"socket:[{inode}]" in links
        for _, _, remote, state, *_, inode in _sockets(pid)
    )


def _sockets(pid: int) -> Iterator[list[str]]:
    """Each TCP socket of its network up to the inode, as /proc/net/tcp lists them."""
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/{pid}/net/{table}").read_text().splitlines()[1:]:
            yield line.split()[:10]


def _memory_of_libraries() -> float:
    """MB of eight processes that have loaded what they cannot do without, and nothing else."""
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
        return sum(map(_proportional_set_size, pids))


BENCHMARKS = (Benchmark("idle", "all eight workers while they are idle", play, GOALS),)
