"""The worlds of the tests are real: a client meets them, and the tests themselves do not."""

import dataclasses
from pathlib import Path
from typing import Any

import psycopg
import pytest

from devservers.pgbouncer import PgBouncer
from testing.database import TestDatabase
from tests.support import worlds

STATE = """
SELECT current_setting('DateStyle') AS dates, current_setting('TimeZone') AS zone,
       current_setting('IntervalStyle') AS intervals, current_setting('bytea_output') AS bytes,
       current_setting('transaction_read_only') AS read_only,
       current_setting('transaction_isolation') AS isolation,
       current_setting('statement_timeout') AS timeout, current_setting('geqo') AS geqo,
       current_setting('client_encoding') AS encoding"""

OURS = {
    "dates": "ISO, MDY",
    "zone": "UTC",
    "intervals": "postgres",
    "bytes": "hex",
    "read_only": "off",
    "isolation": "read committed",
    "timeout": "0",
    "geqo": "on",
    "encoding": "UTF8",
}
OF_THE_DATABASE = {
    "dates": "German, DMY",
    "zone": "America/New_York",
    "intervals": "sql_standard",
    "bytes": "escape",
    "read_only": "on",
    "isolation": "serializable",
    "timeout": "20ms",
    "geqo": "on",
    "encoding": "LATIN1",
}


def client(database: TestDatabase) -> psycopg.Connection[Any]:
    """A connection without the settings of TestDatabase."""
    names = {"host": "HOST", "port": "PORT", "user": "USER", "password": "PASSWORD"}
    keywords = {key: database.environment[f"DB_{name}"] for key, name in names.items()}
    return psycopg.connect(dbname=database.name, sslmode="disable", **keywords)  # type: ignore[arg-type]


def state(connection: psycopg.Connection[Any]) -> dict[str, object]:
    with connection.cursor(row_factory=psycopg.rows.dict_row) as cursor:
        return cursor.execute(STATE).fetchone() or {}


def test_what_is_set_for_a_hostile_database_meets_its_clients_but_not_the_tests(
    database: TestDatabase,
) -> None:
    hostile = worlds.hostile(database)

    with client(hostile) as connection:
        assert state(connection) == OF_THE_DATABASE
    with pytest.raises(psycopg.errors.QueryCanceled), client(hostile) as connection:
        connection.execute("SELECT pg_sleep(5)")
    with hostile.connect() as connection:
        assert state(connection) == OURS


def test_variables_of_libpq_meet_its_clients_but_not_the_tests(
    database: TestDatabase, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    hostile = worlds.hostile(database)
    worlds.set_hostile_variables(monkeypatch, tmp_path)

    with pytest.raises(psycopg.OperationalError, match=r"127\.0\.0\.9"):
        client(hostile)
    for name in ("PGSERVICE", "PGHOSTADDR", "PGREQUIREAUTH", "PGTARGETSESSIONATTRS"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("PGCHANNELBINDING", "disable")
    with client(hostile) as connection:
        ours = {"zone": "Asia/Kathmandu", "geqo": "off"}
        assert state(connection) == {**OF_THE_DATABASE, **ours}
        assert connection.info.get_parameters()["application_name"] == "stranger"
    worlds.set_hostile_variables(monkeypatch, tmp_path)
    with hostile.connect() as connection:
        assert state(connection) == OURS
    with hostile.connect(autocommit=False) as connection:
        assert connection.info.transaction_status == psycopg.pq.TransactionStatus.IDLE
        assert state(connection) == OURS


def test_behind_a_pooler_the_backend_is_not_the_one_that_libpq_knows(
    database: TestDatabase, pgbouncer: PgBouncer
) -> None:
    pooled = dataclasses.replace(database, port=pgbouncer.port)

    with client(pooled) as connection:
        [pid] = connection.execute("SELECT pg_backend_pid()").fetchone() or [0]
        assert pid != connection.info.backend_pid
    with pooled.connect() as connection:
        [row] = connection.execute("SELECT pg_backend_pid() AS pid")
        assert row["pid"] == connection.info.backend_pid
