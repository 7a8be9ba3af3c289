"""Connections to PostgreSQL: what a session is set to, and what no wait on it may exceed."""

import os
import re
import socket
import threading
import time
from datetime import UTC, datetime

import psycopg
import pytest

from common.database.connection import CONNECT_SECONDS, Database, abort_connection
from common.database.error_classification import connection_lost
from common.database.session import Connection
from devservers.checkout import ROOT
from devservers.child_processes import free_port
from devservers.postgres_pair import PostgresPair
from devservers.tcp_proxy import TcpProxy
from testing.database import TestDatabase
from tests.support.probes import settings


@pytest.fixture
def ours(database: TestDatabase, monkeypatch: pytest.MonkeyPatch) -> Database:
    """The database as a worker of the service link opens it."""
    return Database(settings(database, monkeypatch))


def test_a_session_has_its_deadlines_and_its_name(ours: Database, database: TestDatabase) -> None:
    database.query(f"ALTER DATABASE {database.name} SET timezone = 'America/New_York'")
    database.query(f"ALTER DATABASE {database.name} SET statement_timeout = 0")
    expected = {
        "TimeZone": "UTC",
        "application_name": "toast-link",
        "statement_timeout": "2min",
        "lock_timeout": "5s",
        "idle_in_transaction_session_timeout": "1min",
        "transaction_read_only": "off",
    }
    with ours.connect() as connection:
        for name, value in expected.items():
            assert connection.execute(f"SHOW {name}".encode()).fetchone() == {name: value}


def test_a_cut_network_is_noticed_by_the_kernel(ours: Database) -> None:
    expected = {
        (socket.SOL_SOCKET, socket.SO_KEEPALIVE): 1,
        (socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT): 20_000,
        (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE): 10,
        (socket.IPPROTO_TCP, socket.TCP_KEEPINTVL): 5,
        (socket.IPPROTO_TCP, socket.TCP_KEEPCNT): 3,
    }
    with ours.connect() as connection, socket.socket(fileno=os.dup(connection.fileno())) as peer:
        assert {option: peer.getsockopt(*option) for option in expected} == expected


def test_every_statement_is_a_transaction_of_its_own(
    ours: Database, database: TestDatabase
) -> None:
    link = database.insert("link_links", is_active=True)
    with ours.connect() as connection:
        connection.execute("UPDATE link_links SET is_active = false")
        assert database.query("SELECT is_active FROM link_links") == [{"is_active": False}]
    assert link["is_active"]


def test_a_go_zero_time_can_be_read(ours: Database, database: TestDatabase) -> None:
    database.query(f"ALTER DATABASE {database.name} SET timezone = 'America/New_York'")
    zero = datetime(1, 1, 1, tzinfo=UTC)
    database.insert("link_links", updated_at=zero)
    with ours.connect() as connection:
        assert connection.execute("SELECT updated_at FROM link_links").fetchone() == {
            "updated_at": zero
        }


@pytest.mark.servers
def test_a_primary_is_found_and_a_standby_alone_is_not_accepted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with PostgresPair() as pair:
        database = TestDatabase(pair.primary, "postgres")
        both = [
            Database(settings(database, monkeypatch, **pair.settings, **attributes))
            for attributes in ({}, {"DB_TARGET_SESSION_ATTRS": "read-write"})
        ]
        for ours in both:
            with ours.connect() as connection:
                assert connection.info.port == pair.primary.port
        pair.primary.kill()
        for ours in both:
            with pytest.raises(psycopg.OperationalError, match=r"hot standby|read-only") as refused:
                ours.connect()
            assert connection_lost(refused.value)  # it is waited for, as for one that is away
        pair.promote()
        for ours in both:
            with ours.connect() as connection:
                assert connection.info.port == pair.primary.port


def test_the_host_of_the_last_connection_is_tried_first(
    database: TestDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A host that does not answer costs the first connection its timeout, and no later one."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        ports = f"{silent.getsockname()[1]},{database.environment['DB_PORT']}"
        hosts = {"DB_HOST": "127.0.0.1,127.0.0.1", "DB_PORT": ports}
        ours = Database(settings(database, monkeypatch, **hosts))
        began = time.monotonic()
        ours.connect().close()
        found = time.monotonic()
        ours.connect().close()
        again = time.monotonic()
    assert CONNECT_SECONDS <= found - began < CONNECT_SECONDS * 2
    assert again - found < CONNECT_SECONDS


def test_every_connection_is_opened_in_one_place() -> None:
    """So what holds for one scheduler's connection, holds for all."""
    opening = re.compile(r"psycopg\.connect\(|Session\.open\(")
    found = {
        str(path.relative_to(ROOT))
        for folder in ("common", "workers")
        for path in (ROOT / folder).rglob("*.py")
        if opening.search(path.read_text())
    }
    assert found == {"common/database/connection.py"}


def test_a_server_that_never_answers_is_given_up(ours: Database) -> None:
    with ours.connect() as connection:
        assert connection.info.get_parameters()["connect_timeout"] == "5"


def test_a_server_that_is_away_counts_as_lost(
    database: TestDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours = Database(settings(database, monkeypatch, DB_PORT=str(free_port())))
    with pytest.raises(psycopg.OperationalError, match="refused") as refused:
        ours.connect()
    assert connection_lost(refused.value)


def test_a_connection_that_the_server_ends_counts_as_lost(
    ours: Database, database: TestDatabase
) -> None:
    with ours.connect() as connection:
        database.query("SELECT pg_terminate_backend(%s)", connection.info.backend_pid)
        with pytest.raises(psycopg.Error) as ended:
            connection.execute("SELECT 1")
        with pytest.raises(psycopg.Error) as closed:
            connection.execute("SELECT 1")
    assert connection_lost(ended.value)
    assert connection_lost(closed.value)


def test_a_primary_that_was_demoted_counts_as_lost(ours: Database) -> None:
    with ours.connect() as connection:
        connection.execute("SET default_transaction_read_only = on")
        with pytest.raises(psycopg.Error) as refused:
            connection.execute("DELETE FROM link_links")
    assert connection_lost(refused.value)


def test_a_rejected_statement_is_no_lost_connection(ours: Database) -> None:
    refusals = (
        "SELECT * FROM no_such_table",
        "SELECT 1 / 0",
        "SET statement_timeout = 1; SELECT pg_sleep(1)",
        "DO $$ BEGIN RAISE EXCEPTION 'no'; END $$",
        "DO $$ BEGIN RAISE lock_not_available; END $$",
        "DO $$ BEGIN RAISE insufficient_privilege; END $$",
        "DO $$ BEGIN RAISE disk_full; END $$",
    )
    with ours.connect() as connection:
        for statement in refusals:
            with pytest.raises(psycopg.Error) as refused:
                connection.execute(statement.encode())
            assert not connection_lost(refused.value), statement


def test_aborting_ends_a_statement_of_another_thread(ours: Database) -> None:
    with ours.connect() as connection:
        errors = blocked_statement(connection, "SELECT pg_sleep(60)")
        abort_connection(connection)
        assert connection_lost(errors.get())


def test_aborting_ends_a_wait_for_a_server_that_answers_no_more(
    database: TestDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    with TcpProxy(database.server.port) as proxy:
        ours = Database(settings(database, monkeypatch, DB_PORT=str(proxy.port)))
        with ours.connect() as connection:
            proxy.hang()
            errors = blocked_statement(connection, "SELECT 1")
            abort_connection(connection)
            assert connection_lost(errors.get())


def test_aborting_what_is_closed_already_is_no_error(ours: Database) -> None:
    connection = ours.connect()
    connection.close()
    abort_connection(connection)


class Errors:
    """What a thread's statement raised."""

    def __init__(self) -> None:
        self._raised = threading.Event()
        self._error: BaseException | None = None

    def put(self, error: BaseException) -> None:
        self._error = error
        self._raised.set()

    def get(self) -> BaseException:
        """The error, once there is one."""
        assert self._raised.wait(30), "the statement is still blocked"
        assert self._error is not None
        return self._error


def blocked_statement(connection: Connection, statement: str) -> Errors:
    """Run a statement, which does not end by itself, in another thread."""
    errors = Errors()
    begun = threading.Event()

    def execute() -> None:
        begun.set()
        try:
            connection.execute(statement.encode())
        except psycopg.Error as error:
            errors.put(error)

    threading.Thread(target=execute, daemon=True).start()
    assert begun.wait(30)
    return errors
