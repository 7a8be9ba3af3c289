"""What an idle worker carries and holds open: real processes, as the kernel sees them."""

import re
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import workers
from common.worker import publisher_thread
from common.worker.worker_process import SUPERVISE_SECONDS
from devservers.child_processes import free_port, poll_until
from devservers.kafka import KafkaServer
from devservers.standins.sse import SseServer
from testing.database import TestDatabase
from testing.processes import Process, environment
from testing.usage import cpu_seconds
from tests.support.scrapes import ask

# Shared objects of libraries that not every worker uses, or not yet.
LIBRDKAFKA = "librdkafka"
GRPC = "cygrpc"
# requests and http.server have none: what is imported is in the interpreter's own list.
PURE = {"requests", "urllib3", "http", "prometheus_client", "html", "sentry_sdk"}
# What libraries would bring along without need.
NEEDLESS = {"asyncio", "importlib.metadata", "importlib.resources"}
DATABASE_DRIVER = "_psycopg"

CONNECTIONS = """
SELECT application_name AS name FROM pg_stat_activity
WHERE datname = %s AND application_name LIKE 'toast-%%'"""


@pytest.fixture
def sse() -> Iterator[SseServer]:
    with SseServer() as server:
        yield server


def libraries(worker: Process) -> set[str]:
    """Which of them the process has mapped."""
    maps = Path(f"/proc/{worker.pid}/maps").read_text()
    return {name for name in (LIBRDKAFKA, GRPC, DATABASE_DRIVER) if name in maps}


def imported(worker: Process) -> set[str]:
    """Every module that it has imported, of a worker whose imports are timed."""
    return set(re.findall(r"^import time:.*\| +([\w.]+)$", worker.log, re.MULTILINE))


def passed(worker: Process) -> None:
    """Wait until the first pass of every scheduler is over."""
    for scheduler in worker.wait_for("worker_started")["schedulers"].split(","):
        worker.wait_for("pass_finished", scheduler=scheduler, result="ok")


@pytest.mark.parametrize("service", workers.SERVICES)
def test_an_idle_worker_carries_only_what_it_uses(
    database: TestDatabase, sse: SseServer, service: str
) -> None:
    env = environment(
        database,
        SSE_GRPC_ADDR=sse.address,
        BLIZZARD_CLIENT_ID="id",
        BLIZZARD_CLIENT_SECRET="secret",
        METRICS_PORT=str(free_port()),
        PYTHONPROFILEIMPORTTIME="1",
    )
    with Process(f"workers.{service}", env=env) as worker:
        passed(worker)
        needed = {DATABASE_DRIVER, GRPC} if service == "sse" else {DATABASE_DRIVER}
        assert libraries(worker) == needed
        assert worker.stop() == 0
    assert imported(worker) & (PURE | NEEDLESS) == set()
    assert "common.worker" in imported(worker)


def test_the_command_brings_only_its_words_into_a_worker(database: TestDatabase) -> None:
    env = environment(database, PYTHONPROFILEIMPORTTIME="1")
    with Process("workers", "run", "twitchbot", env=env) as worker:
        passed(worker)
        assert worker.stop() == 0
    ours = {name for name in imported(worker) if name.startswith("common.")}
    needed = ("", ".commands", ".arguments", ".parser", ".output", ".services")
    assert {name for name in ours if name.startswith("common.cli")} == {
        f"common.cli{name}" for name in needed
    }
    assert "common.events.producer" not in ours


def test_what_is_carried_after_work_was_needed_for_it(
    database: TestDatabase, kafka_server: KafkaServer
) -> None:
    port = free_port()
    env = environment(database, kafka_server.address, METRICS_PORT=str(port))
    with Process("workers.link", env=env, fresh=True) as worker:
        passed(worker)
        assert LIBRDKAFKA not in libraries(worker)
        database.insert("link_links", expires_at="2020-01-01T00:00:00Z")
        worker.send(signal.SIGUSR1)
        worker.wait_for("events_published", published=1)
        assert LIBRDKAFKA in libraries(worker)
        assert ask(port, "/healthz").status == 200
        assert worker.stop() == 0


def test_an_idle_worker_holds_no_connection(database: TestDatabase) -> None:
    with Process("workers.link", env=environment(database)) as worker:
        passed(worker)
        # Nothing was published, so nothing more is expected soon.
        assert poll_until(
            lambda: not database.query(CONNECTIONS, database.name),
            publisher_thread.IDLE_SECONDS / 2,
        )
        assert worker.stop() == 0


def test_an_idle_worker_hardly_uses_the_cpu(database: TestDatabase) -> None:
    """Looking after its threads, twice in this time, is all that it does."""
    env = environment(database, METRICS_PORT=str(free_port()))
    with Process("workers.twitchbot", env=env, fresh=True) as worker:
        passed(worker)
        time.sleep(1)
        before = cpu_seconds(worker.pid)
        time.sleep(2 * SUPERVISE_SECONDS)
        assert cpu_seconds(worker.pid) - before < 0.003
        assert worker.stop() == 0
