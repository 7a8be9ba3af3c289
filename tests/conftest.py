"""Fixtures of all tests. Nothing of ours is mocked: servers and processes are real.

database          a fresh PostgreSQL database with the live tables and ours, empty:
                  `.environment` (its DB_* settings), `.connect()`, `.query(sql, *values)`,
                  `.insert(table, **columns)` (the row, with parents where it needs them)
module_database   the same for a whole test file, which empties what its tests fill: a new one
                  for each of many short tests takes longer than they do
private_database  the same on a server of the test's own, for tests that stop, kill or restart
                  it: `.server.stop("fast" or "immediate")`, `.server.kill()`, `.server.start()`
pgbouncer         a real PgBouncer before the server of `database`, as it comes: transaction
                  mode, no `options`; `.port`, `.admin("SHOW POOLS")`
mock_broker       address of a broker in memory (librdkafka's mock cluster) that knows the live
                  topics and creates any other when asked for its metadata; shared by all tests,
                  so read by key, or from the end
kafka             address of a real Apache Kafka, KAFKA_TEST_BROKERS if that is set; creates no
                  topic by itself
kafka_server      the real Apache Kafka as a KafkaServer: `.address`, `.create_topic(name)`,
                  `.freeze()`, `.thaw()`, `.stop()`, `.kill()`, `.start()`; a test
                  that stops it starts it again
promtool          path of Prometheus's own judge of metrics and rules
uncaught          the errors that a worker would log with their traceback and report to Sentry

TEST_WORLD leads the tests of a database to one that is hostile or behind a pooler (worlds.py).

Every test runs in an empty working directory, without settings in its environment, and may
open connections to loopback only. TEST_POSTGRES_BIN names a folder with PostgreSQL's programs
to use instead of the wheel's, TEST_POSTGRES_VERSION a major version of which to find them.
"""

import contextlib
import dataclasses
import ipaddress
import os
import signal
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

# gRPC's fork handlers stop a server that lives in this process whenever a test starts a child
# with a preexec_fn. Read when gRPC is imported, so it is set before anything does that.
os.environ["GRPC_ENABLE_FORK_SUPPORT"] = "false"

import hypothesis
import pytest

import workers
from devservers.kafka import KafkaServer
from devservers.mock_broker import Broker
from devservers.pgbouncer import PgBouncer
from devservers.postgres import PostgresServer
from devservers.postgres_binaries import find_installation
from devservers.prometheus import program
from testing.database import TestDatabase, create_template, fresh_database
from tests import own_settings
from tests.support import worlds

# Marks what starts a server; skips what this machine lacks, and lists it at the end.
pytest_plugins = ("tests.support.server_processes", "tests.support.not_tried")

POSTGRES_BINARIES = os.environ.get("TEST_POSTGRES_BIN")
POSTGRES_VERSION = os.environ.get("TEST_POSTGRES_VERSION")
WORLD = os.environ.get("TEST_WORLD", worlds.PLAIN)
KAFKA_BROKERS = os.environ.get("KAFKA_TEST_BROKERS")

# nohup and a script's background start what runs there deaf to some signals, and its children
# inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGHUP, signal.SIG_DFL)
signal.signal(signal.SIGQUIT, signal.SIG_DFL)

# A settings file that others may write is a warning.
os.umask(0o022)

# The same examples in every run: a red test stays red until the code changes.
hypothesis.settings.register_profile("repeatable", derandomize=True, deadline=None)
hypothesis.settings.load_profile("repeatable")


@pytest.fixture
def uncaught(monkeypatch: pytest.MonkeyPatch) -> list[threading.ExceptHookArgs]:
    caught: list[threading.ExceptHookArgs] = []
    monkeypatch.setattr(threading, "excepthook", caught.append)
    return caught


@pytest.fixture(autouse=True)
def _no_settings_of_the_developer(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    own_settings.use_only(monkeypatch, tmp_path)
    if WORLD == worlds.HOSTILE:
        worlds.set_hostile_variables(monkeypatch, tmp_path)


@pytest.fixture
def only_link_expiration(monkeypatch: pytest.MonkeyPatch) -> None:
    """Switch off every other scheduler of link: its worker then runs this one alone."""
    for scheduler in workers.load("link").schedulers:
        if scheduler.name != "link-expiration":
            monkeypatch.setenv(scheduler.enabled.name, "false")


@pytest.fixture(scope="session", autouse=True)
def _loopback_only() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        for name in ("connect", "connect_ex"):
            patch.setattr(socket.socket, name, _guarded(getattr(socket.socket, name)))
        yield


def _guarded(connect: Any) -> Any:
    def guarded_connect(self: socket.socket, address: Any) -> Any:
        internet = self.family in (socket.AF_INET, socket.AF_INET6)
        if internet and not _is_loopback(address[0]):
            raise AssertionError(f"a test tried to reach {address}: only loopback is allowed")
        return connect(self, address)

    return guarded_connect


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


@pytest.fixture(scope="session")
def postgres_server(servers: None) -> Iterator[PostgresServer]:
    with _postgres_server() as server:
        create_template(server)
        yield server


@pytest.fixture(scope="session")
def pooled_port(request: pytest.FixtureRequest) -> int | None:
    """The port of the pooler before `postgres_server`, in the world that has one."""
    if WORLD != worlds.POOLER:
        return None
    pooler: PgBouncer = request.getfixturevalue("pgbouncer")
    return pooler.port


@pytest.fixture
def database(postgres_server: PostgresServer, pooled_port: int | None) -> Iterator[TestDatabase]:
    with fresh_database(postgres_server) as database:
        yield _in_its_world(database, pooled_port)


@pytest.fixture(scope="module")
def module_database(
    postgres_server: PostgresServer, pooled_port: int | None
) -> Iterator[TestDatabase]:
    with fresh_database(postgres_server) as database:
        yield _in_its_world(database, pooled_port)


@pytest.fixture
def private_database(servers: None) -> Iterator[TestDatabase]:
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(_postgres_server())
        database = TestDatabase(server, create_template(server))
        pooler = PgBouncer(server) if WORLD == worlds.POOLER else None
        port = stack.enter_context(pooler).port if pooler else None
        yield _in_its_world(database, port)


def _in_its_world(database: TestDatabase, pooled_port: int | None) -> TestDatabase:
    if WORLD == worlds.HOSTILE:
        return worlds.hostile(database)
    return dataclasses.replace(database, port=pooled_port) if pooled_port else database


def _postgres_server() -> PostgresServer:
    binaries = Path(POSTGRES_BINARIES) if POSTGRES_BINARIES else None
    if POSTGRES_VERSION:
        binaries = find_installation(binaries, int(POSTGRES_VERSION)).folder
    return PostgresServer(durable=False, binaries=binaries)


@pytest.fixture(scope="session")
def pgbouncer(postgres_server: PostgresServer) -> Iterator[PgBouncer]:
    with PgBouncer(postgres_server) as pooler:
        yield pooler


@pytest.fixture(scope="session")
def mock_broker(servers: None) -> Iterator[str]:
    topics = [topic for name in workers.SERVICES for topic in workers.load(name).topics]
    with Broker(topics) as broker:
        yield broker.address


@pytest.fixture(scope="session")
def kafka_server(servers: None) -> Iterator[KafkaServer]:
    with KafkaServer() as server:
        yield server


@pytest.fixture(scope="session")
def kafka(request: pytest.FixtureRequest, servers: None) -> str:
    if KAFKA_BROKERS:
        return KAFKA_BROKERS
    server: KafkaServer = request.getfixturevalue("kafka_server")
    return server.address


@pytest.fixture(scope="session")
def promtool() -> str:
    return str(program("promtool"))
