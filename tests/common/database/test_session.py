"""A session of ours: its settings hold against those of others, and none stay in a pool."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import psycopg
import pytest
from psycopg.rows import DictRow

from common.database import session_settings
from common.database.connection import Database
from common.database.session import Session
from devservers.pgbouncer import PgBouncer, PoolMode
from devservers.postgres import PostgresServer
from testing.database import TestDatabase
from testing.passes import open_pass, preview, run_pass
from testing.scheduler_cases import CASES
from testing.scheduler_cases.foodfolio import STOCK_LEVEL
from tests.support.probes import settings

# What a stranger would find changed in a session that we have left to the pool. PgBouncer itself
# gives it the name of the client that has it, and transaction_ settings end with the transaction.
STATE = """
SELECT pg_backend_pid() AS pid,
       (SELECT jsonb_object_agg(name, setting) FROM pg_settings
        WHERE source = 'session' AND name <> 'application_name'
          AND name NOT LIKE 'transaction\\_%') AS set,
       (SELECT count(*) FROM pg_locks WHERE locktype = 'advisory') AS locks,
       (SELECT count(*) FROM pg_class WHERE relpersistence = 't') AS temporary_tables,
       (SELECT count(*) FROM pg_prepared_statements) AS prepared_statements"""

DEFERRED = """
CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN RAISE EXCEPTION 'refused at the end'; END $$;
CREATE CONSTRAINT TRIGGER refuse AFTER INSERT ON toast_alerts
DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION refuse()"""

ALERT = "INSERT INTO toast_alerts VALUES ('one', gen_random_uuid(), 'fact', now())"

IGNORED = "options,extra_float_digits"


@contextmanager
def pooled(database: TestDatabase, pooler: PgBouncer) -> Iterator[Session]:
    keywords: dict[str, Any] = {**database.server.connection(database.name), "port": pooler.port}
    del keywords["options"]
    with Session.open(keywords, settings_refused=True) as session:
        yield session


def as_a_stranger(database: TestDatabase, pooler: PgBouncer, statement: str) -> list[DictRow]:
    """Every row of a statement by a client that knows nothing of us, in the same pool."""
    with database.connect(port=pooler.port, options="") as connection:
        return connection.execute(statement.encode()).fetchall()


def test_every_setting_that_we_depend_on_holds_against_those_of_the_database(
    database: TestDatabase, pgbouncer: PgBouncer
) -> None:
    for name, value in (("DateStyle", "German, DMY"), ("lock_timeout", "1ms"), ("TimeZone", "PRC")):
        database.query(f"ALTER DATABASE {database.name} SET {name} = '{value}'")
    with database.session() as direct, pooled(database, pgbouncer) as behind:
        for session in (direct, behind):
            found = {
                name: session.execute(f"SHOW {name}".encode()).fetchone()
                for name in session_settings.PINNED
            }
            expected = {**session_settings.PINNED, "statement_timeout": "2min"}
            expected["idle_in_transaction_session_timeout"] = "1min"
            assert found == {name: {name: value} for name, value in expected.items()}


@pytest.mark.parametrize("pool_mode", ["transaction", "session"])
@pytest.mark.parametrize("ignored", [None, IGNORED], ids=["refused", "ignored"])
def test_a_pooler_is_recognised_and_its_settings_hold(
    pool_mode: PoolMode,
    ignored: str | None,
    postgres_server: PostgresServer,
    database: TestDatabase,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with PgBouncer(
        postgres_server, pool_mode=pool_mode, ignore_startup_parameters=ignored
    ) as pooler:
        ours = Database(settings(database, monkeypatch, DB_PORT=str(pooler.port)))
        for _ in range(2):
            with ours.connect() as session:
                assert session.is_pooled
                assert session.execute("SHOW lock_timeout").fetchone() == {"lock_timeout": "5s"}
                with (
                    session.begin({"statement_timeout": "10ms"}),
                    pytest.raises(psycopg.errors.QueryCanceled),
                ):
                    session.execute("SELECT pg_sleep(10)")
        assert not database.session().is_pooled


def test_nothing_is_left_in_a_pool_for_others(
    postgres_server: PostgresServer, database: TestDatabase
) -> None:
    with PgBouncer(postgres_server, default_pool_size=1) as pooler:
        before = as_a_stranger(database, pooler, STATE)
        database.port = pooler.port
        for case in CASES:
            case.insert(database)
            preview(database, case.scheduler)
            run_pass(database, case.scheduler)
        with pooled(database, pooler) as session:
            with session.try_lock("one"), pytest.raises(psycopg.errors.DivisionByZero):
                session.execute("SELECT 1 / 0", prepare=True)
            with session.begin({"enable_seqscan": "off"}, read_only=True):
                session.execute("SELECT 1")
        assert as_a_stranger(database, pooler, STATE) == before


def test_a_lock_keeps_its_session_through_errors_of_every_kind(
    database: TestDatabase, pgbouncer: PgBouncer
) -> None:
    database.query(DEFERRED)
    with pooled(database, pgbouncer) as one, pooled(database, pgbouncer) as other:
        with one.try_lock("one") as is_ours:
            assert is_ours
            session = one.execute("SELECT pg_backend_pid() AS pid").fetchone()
            for statement in ("SELECT 1 / 0", ALERT, "SELECT * FROM no_table"):
                with pytest.raises(psycopg.Error):
                    one.execute(statement.encode())
                with pytest.raises(psycopg.Error), one.begin():
                    one.execute(statement.encode())
            assert one.execute("SELECT pg_backend_pid() AS pid").fetchone() == session
            with other.try_lock("one") as is_theirs:
                assert not is_theirs
        with other.try_lock("one") as is_theirs:
            assert is_theirs
    assert database.query("SELECT * FROM toast_alerts") == []


def test_what_is_done_under_a_lock_is_committed_statement_by_statement(
    database: TestDatabase, pgbouncer: PgBouncer
) -> None:
    with pooled(database, pgbouncer) as session, session.try_lock("one"):
        session.execute(ALERT)
        assert len(database.query("SELECT * FROM toast_alerts")) == 1


@pytest.mark.parametrize("is_pooled", [False, True], ids=["direct", "pooled"])
def test_a_savepoint_undoes_what_failed_and_nothing_else(
    is_pooled: bool, database: TestDatabase, pgbouncer: PgBouncer
) -> None:
    database.query("CREATE TABLE kept (name text PRIMARY KEY)")

    def keep(*names: str) -> None:
        for name in names:
            session.execute("INSERT INTO kept VALUES (%s)", (name,), prepare=True)

    opened = pooled(database, pgbouncer) if is_pooled else database.session()
    with opened as session, session.begin():
        for name in ("first", "second"):
            with pytest.raises(psycopg.errors.UniqueViolation), session.savepoint():
                keep("lost", "lost")
            keep(name)
        with pytest.raises(psycopg.errors.DivisionByZero), session.savepoint():
            session.execute("SELECT 1 / 0")
        with session.savepoint():
            keep("third")
        [prepared] = session.execute("SELECT count(*) FROM pg_prepared_statements")
    assert prepared["count"] == (0 if is_pooled else 1)
    names = [row["name"] for row in database.query("SELECT name FROM kept")]
    assert names == ["first", "second", "third"]


def test_a_lock_ends_with_its_client(database: TestDatabase, pgbouncer: PgBouncer) -> None:
    with pooled(database, pgbouncer) as dying, pooled(database, pgbouncer) as other:
        with dying.try_lock("one"):
            dying.pgconn.finish()  # as the kernel does it for a process that was killed
        for _ in range(100):
            with other.try_lock("one") as is_ours:
                if is_ours:
                    return
            threading.Event().wait(0.05)
    pytest.fail("the lock is still held")


def test_stock_level_keeps_its_temporary_table_through_a_pooler(
    database: TestDatabase, pgbouncer: PgBouncer
) -> None:
    database.port = pgbouncer.port
    due = [row.insert(database) for row in STOCK_LEVEL.due.values()]
    with open_pass(database, STOCK_LEVEL.scheduler) as current:
        for _ in range(2):
            STOCK_LEVEL.scheduler.work.run(current)
    assert len(database.query("SELECT * FROM toast_alerts")) == len(due)


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("infinity", datetime.max.replace(tzinfo=UTC)),
        ("12001-01-01", datetime.max.replace(tzinfo=UTC)),
        ("9999-12-31 23:59:59.999999+00", datetime.max.replace(tzinfo=UTC)),
        ("-infinity", datetime.min.replace(tzinfo=UTC)),
        ("0044-03-15 BC", datetime.min.replace(tzinfo=UTC)),
        ("0001-01-01 00:00:00+00", datetime.min.replace(tzinfo=UTC)),
        ("2026-11-26 12:00:00.5+05:45", datetime(2026, 11, 26, 6, 15, 0, 500_000, tzinfo=UTC)),
    ],
)
def test_every_time_can_be_read(written: str, read: datetime, database: TestDatabase) -> None:
    with database.session() as session:
        row = session.execute("SELECT %s::timestamptz AS time", (written,)).fetchone()
    assert row == {"time": read}


@pytest.mark.parametrize(
    ("encoding", "stored"),
    [
        ("UTF8", "\N{FIRE} \xe9 \ufffd \\ud800"),
        ("SQL_ASCII", "\N{FIRE} \xe9 \ufffd \\ud800"),
        ("LATIN1", "\\U0001f525 \xe9 \\ufffd \\ud800"),
        ("WIN1252", "\\U0001f525 \\xe9 \\ufffd \\ud800"),
    ],
)
def test_every_text_can_be_stored(
    encoding: str, stored: str, postgres_server: PostgresServer
) -> None:
    name = f"encoded_{encoding.lower()}"
    server = TestDatabase(postgres_server, "postgres")
    server.query(f"CREATE DATABASE {name} ENCODING '{encoding}' LOCALE 'C' TEMPLATE template0")
    with TestDatabase(postgres_server, name).session() as session:
        session.execute("CREATE TABLE texts (text text)")
        text = session.storable("\N{FIRE} \xe9 \0 \ud800")
        assert text == stored
        session.execute("INSERT INTO texts VALUES (%s)", (text,))
        assert session.execute("SELECT text FROM texts").fetchone() == {"text": stored}


def test_bytes_that_are_no_text_are_read_as_the_live_services_write_them(
    postgres_server: PostgresServer,
) -> None:
    server = TestDatabase(postgres_server, "postgres")
    server.query("CREATE DATABASE bytes ENCODING 'SQL_ASCII' LOCALE 'C' TEMPLATE template0")
    with TestDatabase(postgres_server, "bytes").session() as session:
        row = session.execute(r"SELECT E'caf\xe9'::text AS text, 'a'::varchar AS word").fetchone()
    assert row == {"text": "caf\ufffd", "word": "a"}
