"""The pooler of the tests: it pools as PgBouncer does where others run it."""

import shutil
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from devservers.needs import Unavailable
from devservers.pgbouncer import PgBouncer
from devservers.postgres import PostgresServer
from testing.database import TestDatabase

PID = "SELECT pg_backend_pid()"


def through(
    pooler: PgBouncer, database: TestDatabase, **keywords: Any
) -> psycopg.Connection[tuple[Any, ...]]:
    """A client of the pooler."""
    settings = {**database.server.connection(database.name), "port": pooler.port, **keywords}
    return psycopg.connect(**settings, autocommit=True)


@pytest.fixture
def pooler(pgbouncer: PgBouncer, postgres_server: PostgresServer) -> Iterator[PgBouncer]:
    """One of the test's own, to stop and start; `pgbouncer` skips where there is none."""
    with PgBouncer(postgres_server, default_pool_size=1) as own:
        yield own


def test_its_clients_share_the_sessions_of_the_server(
    pooler: PgBouncer, database: TestDatabase
) -> None:
    with through(pooler, database) as one, through(pooler, database) as other:
        assert one.execute(PID).fetchone() == other.execute(PID).fetchone()
        assert one.info.backend_pid != other.info.backend_pid

        one.execute("SET TimeZone = 'Asia/Kathmandu'")
        one.execute("SET lock_timeout = '7s'")

        assert other.execute("SHOW lock_timeout").fetchone() == ("7s",)
        assert other.execute("SHOW TimeZone").fetchone() == ("UTC",)  # it keeps a few for each


def test_it_refuses_options_unless_it_is_set_to_ignore_them(
    pgbouncer: PgBouncer, database: TestDatabase
) -> None:
    options = "-c lock_timeout=7s"
    with pytest.raises(psycopg.OperationalError, match="unsupported startup parameter"):
        through(pgbouncer, database, options=options)

    with (
        PgBouncer(database.server, ignore_startup_parameters="options") as deaf,
        through(deaf, database, options=options) as connection,
    ):
        assert connection.execute("SHOW lock_timeout").fetchone() == ("0",)


def test_a_session_is_a_clients_own_in_that_mode(
    pgbouncer: PgBouncer, database: TestDatabase
) -> None:
    with (
        PgBouncer(database.server, pool_mode="session") as pooler,
        through(pooler, database) as one,
        through(pooler, database) as other,
    ):
        assert one.execute(PID).fetchone() != other.execute(PID).fetchone()


def test_other_roles_come_in_with_their_own_passwords(
    pgbouncer: PgBouncer, database: TestDatabase
) -> None:
    database.query(f"CREATE ROLE {database.name} LOGIN PASSWORD 'secret'")
    try:
        with through(pgbouncer, database, user=database.name, password="secret") as connection:
            assert connection.execute("SELECT current_user").fetchone() == (database.name,)
        with pytest.raises(psycopg.OperationalError, match="authentication failed"):
            through(pgbouncer, database, user=database.name, password="wrong")
    finally:
        database.query(f"DROP ROLE {database.name}")


def test_it_stops_is_killed_and_starts_again(pooler: PgBouncer, database: TestDatabase) -> None:
    for end in (pooler.stop, pooler.kill):
        connection = through(pooler, database)
        end()
        with pytest.raises(psycopg.OperationalError):
            connection.execute(PID)
        with pytest.raises(psycopg.OperationalError, match="refused"):
            through(pooler, database)
        pooler.start()
        through(pooler, database).close()


def test_a_machine_without_it_is_told_what_to_install(
    postgres_server: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "which", lambda *name, **path: None)
    with pytest.raises(Unavailable, match="apt install pgbouncer"):
        PgBouncer(postgres_server)
