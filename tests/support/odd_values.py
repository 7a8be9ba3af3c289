"""Values that the live tables may hold, and that Python, JSON or arithmetic do not know."""

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg

from common.database import migrations
from devservers import live_tables
from devservers.postgres import PostgresServer
from testing.database import TestDatabase

NEVER, ALWAYS, LATE = "infinity", "-infinity", "12001-01-01 00:00:00+00"
TIMES = (None, NEVER, ALWAYS, "0044-03-15 12:00:00+00 BC", LATE)
NUMBERS = (None, str(2**63 - 1), str(-(2**63)))
FLAGS = (None,)
TEXTS = (None, "", "\\ \N{BREAD} % ' \x7f \u0301")

# SQLSTATEs that a trigger may claim, although nothing is wrong with the server.
CLAIMED = ("42501", "08000", "53100", "ZZ001", "40001", "57P01")


def make_odd(
    database: TestDatabase, table: str, column: str, row: object, value: str | None
) -> None:
    """Give a column of the row with this id a value as PostgreSQL writes it."""
    kind = database.query(
        "SELECT format_type(atttypid, NULL) AS name FROM pg_attribute"
        " WHERE attrelid = %s::regclass AND attname = %s",
        table,
        column,
    )[0]["name"]
    database.query(f"UPDATE {table} SET {column} = %s::{kind} WHERE id = %s", value, row)


@contextmanager
def encoded_database(server: PostgresServer, encoding: str) -> Iterator[TestDatabase]:
    """A database with the live tables and ours whose text has this encoding."""
    name = f"test_{encoding.lower()}"
    with psycopg.connect(**server.connection(), autocommit=True) as connection:
        connection.execute(
            f"CREATE DATABASE {name} ENCODING '{encoding}' LC_COLLATE 'C' LC_CTYPE 'C'"
            " TEMPLATE template0"
        )
        database = TestDatabase(server, name)
        try:
            with database.session() as session:
                session.execute(live_tables.sql().encode())
                migrations.migrate(session, migrations.all_migrations())
            yield database
        finally:
            connection.execute(f"DROP DATABASE {name} WITH (FORCE)")
