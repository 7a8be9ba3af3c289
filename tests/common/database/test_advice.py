"""For every obstacle, `toast check` and the failed pass name the one thing to change."""

import itertools
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import psycopg
import pytest

from common import config
from common.cli.check import postgres
from common.cli.check.checked_service import Subject
from common.config import Settings
from common.database import migrations
from common.database.advice import advice, advised, cut
from devservers import live_tables
from devservers.checkout import ROOT
from devservers.child_processes import poll_until
from devservers.pgbouncer import PgBouncer, PoolMode
from devservers.postgres import PostgresServer
from devservers.postgres_pair import PostgresPair
from testing.database import TestDatabase, fresh_database
from tests.common.database.obstacles import CONNECTIONS, HARMLESS, ROWS, TABLES, Obstacle
from tests.support.expired_links import one_pass
from tests.support.role_work import AsRole
from workers.link import SERVICE

pytestmark = pytest.mark.usefixtures("only_link_expiration")

PASSWORD = "of-a-role-for-one-test"

_numbers = itertools.count(1)


@pytest.fixture
def as_role(postgres_server: PostgresServer) -> Iterator[AsRole]:
    """A database with a link that is due, as a role of its own sees it."""
    role = f"obstacle_{next(_numbers)}"
    with fresh_database(postgres_server) as database:
        database.query((ROOT / "db" / "roles.sql").read_text())
        database.query(f"CREATE ROLE {role} LOGIN PASSWORD '{PASSWORD}' IN ROLE toast_link")
        database.insert("link_links", expires_at="2020-01-01")
        yield AsRole(database.server, database.name, role=role, password=PASSWORD)
    TestDatabase(postgres_server, "postgres").query(f"DROP ROLE {role}")


def settings(as_role: TestDatabase, monkeypatch: pytest.MonkeyPatch, **more: str) -> Settings:
    for name, value in {**as_role.environment, **more}.items():
        monkeypatch.setenv(name, value)
    return config.load("link", SERVICE.variables)


def checked(settings: Settings) -> list[str]:
    """What `toast check` finds in PostgreSQL, line by line."""
    found = (finding for _, finding in postgres.check([Subject(SERVICE, settings)]))
    return [f"{one.level} {one.check}: {one.message} => {one.fix}" for one in found]


def play(obstacle: Obstacle, as_role: AsRole, monkeypatch: pytest.MonkeyPatch) -> None:
    """Set up the obstacle, and compare the finding and the error with what is expected."""
    names = {"role": as_role.role, "database": as_role.name}
    owner = TestDatabase(as_role.server, "postgres" if obstacle.outside else as_role.name)
    if obstacle.setup:
        owner.query(obstacle.setup.format(**names))
    loaded = settings(as_role, monkeypatch, **obstacle.settings)

    lines, run = checked(loaded), one_pass(loaded)

    expected = obstacle.checked.format(**names)
    matching = [line for line in lines if expected in line]
    assert matching, "\n".join([expected, "", *lines, "", run.error])
    assert matching[0].startswith(obstacle.level), matching
    if obstacle.advice:
        arrow = "" if obstacle.in_words else "=> "
        assert run.error.endswith(arrow + obstacle.advice.format(**names)), run.error
        assert run.result == "failed" or run.counts["failed"] == 1
    else:
        assert (run.result, run.error, run.counts["processed"]) == ("ok", "", 1), run


EVERY = (*CONNECTIONS, *TABLES, *ROWS, *HARMLESS)


def test_there_are_at_least_thirty_obstacles() -> None:
    assert len({obstacle.name for obstacle in EVERY}) == len(EVERY) >= 30


@pytest.mark.parametrize("obstacle", EVERY, ids=lambda obstacle: obstacle.name)
def test_an_obstacle_is_named_with_its_advice(
    obstacle: Obstacle, as_role: AsRole, monkeypatch: pytest.MonkeyPatch
) -> None:
    play(obstacle, as_role, monkeypatch)


def test_the_sql_of_an_advice_repairs_what_it_is_about(
    as_role: AsRole, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The advice of these findings is SQL: executed as it is, it removes the obstacle."""
    loaded = settings(as_role, monkeypatch)
    setups = [obstacle.setup for obstacle in (*TABLES, *ROWS, *HARMLESS) if obstacle.name in PASTED]
    assert len(setups) == len(PASTED)
    for setup in setups:
        as_role.query(setup.format(role=as_role.role, database=as_role.name))
        found = [finding for _, finding in postgres.check([Subject(SERVICE, loaded)])]
        fixes = {one.fix for one in found if one.level != "ok" and one.fix.endswith(";")}
        assert fixes, setup
        for fix in fixes:
            as_role.query(fix)
        assert [line for line in checked(loaded) if not line.startswith("ok")] == []


PASTED = {
    "everything without USAGE",
    "no right to a live table",
    "row security without a policy",
    "an INSTEAD rule",
    "a trigger of each row without rights",
    "synchronous_commit off",
    "a limit of connections",
}


# --- what takes a server, or a database, of its own -------------------------------------------


@pytest.mark.parametrize(
    ("encoding", "expected"),
    [("SQL_ASCII", "goes out as U+FFFD"), ("LATIN1", "that it lacks is stored escaped")],
)
def test_another_encoding_works_and_is_warned_about(
    postgres_server: PostgresServer, monkeypatch: pytest.MonkeyPatch, encoding: str, expected: str
) -> None:
    name = f"encoded_{encoding.lower()}"
    owner = TestDatabase(postgres_server, "postgres")
    owner.query(f"CREATE DATABASE {name} TEMPLATE template0 ENCODING '{encoding}' LOCALE 'C'")
    as_role = TestDatabase(postgres_server, name)
    try:
        with as_role.session() as connection:
            connection.execute(live_tables.sql().encode())
            migrations.migrate(connection, migrations.all_migrations())
        # So that the test itself can read what is in it.
        owner.query(f"ALTER DATABASE {name} SET client_encoding = 'UTF8'")
        as_role.insert("link_links", expires_at="2020-01-01")
        loaded = settings(as_role, monkeypatch)
        [warned] = [line for line in checked(loaded) if expected in line]
        assert warned.startswith("warning session")
        assert one_pass(loaded).counts["processed"] == 1
    finally:
        owner.query(f"DROP DATABASE {name} WITH (FORCE)")


def test_a_partitioned_table_is_as_good_as_any(
    as_role: AsRole, monkeypatch: pytest.MonkeyPatch
) -> None:
    as_role.query(
        "ALTER TABLE link_links RENAME TO part;"
        " CREATE TABLE link_links (LIKE part INCLUDING DEFAULTS) PARTITION BY LIST (is_active);"
        " ALTER TABLE link_links ATTACH PARTITION part DEFAULT"
    )
    as_role.query((ROOT / "db" / "roles.sql").read_text())
    loaded = settings(as_role, monkeypatch)
    assert [line for line in checked(loaded) if line.startswith("error")] == []
    assert one_pass(loaded).counts["processed"] == 1


@pytest.mark.servers
def test_a_standby_names_the_primary(monkeypatch: pytest.MonkeyPatch) -> None:
    with PostgresPair() as pair:
        database = TestDatabase(pair.standby, "postgres")
        loaded = settings(database, monkeypatch)
        lines, run = checked(loaded), one_pass(loaded)
    fix = "=> set DB_HOST to the primary, or promote this one; several hosts are joined by commas"
    assert lines[0].endswith(fix)
    assert run.error.endswith(fix)


def test_a_server_that_is_full_names_its_limit(
    as_role: AsRole, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded = settings(as_role, monkeypatch)
    with ExitStack() as stack:
        try:
            while True:
                stack.enter_context(closing(as_role.login()))
        except psycopg.OperationalError:
            lines, run = checked(loaded), one_pass(loaded)
    fix = "=> raise max_connections of PostgreSQL"
    assert lines[0].endswith(fix)
    assert run.error.endswith(fix)


@pytest.mark.parametrize(
    ("line", "fix"),
    [
        ("host all {role} 127.0.0.1/32 reject", "add a line for this host, role and database"),
        ("hostssl all {role} 127.0.0.1/32 trust", "set DB_SSL_MODE=require, or let pg_hba.conf"),
    ],
)
def test_a_host_that_is_not_admitted_names_the_file(
    as_role: AsRole, monkeypatch: pytest.MonkeyPatch, line: str, fix: str
) -> None:
    loaded = settings(as_role, monkeypatch)
    [row] = as_role.query("SHOW hba_file")
    file = Path(row["hba_file"])
    before = file.read_text()
    others = f"host all {as_role.server.user} 127.0.0.1/32 scram-sha-256"
    file.write_text(f"{line.format(role=as_role.role)}\n{others}\n")
    try:
        as_role.query("SELECT pg_reload_conf()")
        assert poll_until(lambda: f"=> {fix}" in checked(loaded)[0], 30)
        assert f"=> {fix}" in one_pass(loaded).error
    finally:
        file.write_text(before)
        as_role.query("SELECT pg_reload_conf()")


# --- a pooler ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("mode", "command", "fix"),
    [
        ("statement", "SHOW VERSION", "set the pooler's pool_mode to transaction"),
        ("transaction", "SET max_client_conn = 0", "raise the pooler's max_client_conn"),
    ],
)
def test_a_pooler_that_refuses_is_named(
    as_role: AsRole, monkeypatch: pytest.MonkeyPatch, mode: PoolMode, command: str, fix: str
) -> None:
    with PgBouncer(as_role.server, pool_mode=mode) as bouncer:
        bouncer.admin(command)
        loaded = settings(as_role, monkeypatch, DB_PORT=str(bouncer.port))
        lines, run = checked(loaded), one_pass(loaded)
    assert [line for line in lines if line.endswith(f"=> {fix}")], (lines, run.error)
    assert run.error.endswith(f"=> {fix}"), run.error


@pytest.mark.parametrize("mode", ["transaction", "session"])
def test_a_pooler_that_works_is_reported(
    as_role: AsRole, monkeypatch: pytest.MonkeyPatch, mode: PoolMode
) -> None:
    as_role.query(f"ALTER ROLE {as_role.role} SET IntervalStyle = 'iso_8601'")
    with PgBouncer(as_role.server, pool_mode=mode) as bouncer:
        loaded = settings(as_role, monkeypatch, DB_PORT=str(bouncer.port))
        lines, run = checked(loaded), one_pass(loaded)
    assert "through a connection pooler" in lines[0]
    assert [line for line in lines if not line.startswith("ok")] == []
    assert [line for line in lines if "IntervalStyle = iso_8601 (ALTER ROLE)" in line]
    assert (run.result, run.counts["processed"]) == ("ok", 1)


# --- what takes more than a test can have -----------------------------------------------------


@pytest.mark.parametrize(
    ("text", "fix"),
    [
        ('FATAL:  role "joe" does not exist', "set DB_USER to a role that exists"),
        ('FATAL:  certificate authentication failed for user "joe"', "set DB_USER to the name in"),
        ("FATAL:  the database system is starting up", "wait until the server is up"),
        ("connection timeout expired", "let this host reach DB_HOST and DB_PORT"),
        ("FATAL:  no such database: x", "set DB_NAME to a database in the pooler's list"),
        ("FATAL:  no such user: x", "add the role DB_USER to the pooler's auth_file"),
        ("FATAL:  query_wait_timeout", "raise the pooler's default_pool_size"),
        ("FATAL: server login has been failing, try again later", "start PostgreSQL behind the"),
        ("FATAL:  passende Datenbank fehlt", ""),
    ],
)
def test_a_refused_connection_has_its_advice(text: str, fix: str) -> None:
    error = psycopg.OperationalError(f"connection failed: {text}")
    assert advice(error).startswith(fix)
    assert bool(advice(error)) == bool(fix)


@pytest.mark.parametrize(
    ("kind", "fix"),
    [
        (psycopg.errors.DiskFull, "make room on the disk of PostgreSQL"),
        (psycopg.errors.OutOfMemory, "give PostgreSQL more memory, or lower its work_mem"),
        (psycopg.errors.IoError, "look at the disk of PostgreSQL and its log"),
        (psycopg.errors.IndexCorrupted, "REINDEX the table"),
        (psycopg.errors.LockNotAvailable, "end the session that holds the lock"),
        (psycopg.errors.DivisionByZero, ""),
    ],
)
def test_a_server_error_has_its_advice(kind: type[psycopg.Error], fix: str) -> None:
    assert advice(kind("no")).startswith(fix)
    assert advised("no", kind("no")).startswith(f"no => {fix}" if fix else "no")


def test_what_is_no_error_of_a_database_gets_no_advice() -> None:
    assert advice(ValueError("permission denied for table x")) == ""


def test_what_is_too_long_keeps_its_advice() -> None:
    text = f"{'x' * 2000} => do this"
    assert cut(text, 100) == f"{'x' * 89} => do this"
    assert cut("x" * 200, 100) == "x" * 100
    assert cut(f"x => {'y' * 200}", 100) == f"x => {'y' * 95}"
    assert cut("x => y", 100) == "x => y"
