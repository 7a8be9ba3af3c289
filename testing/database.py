"""A fresh database per test: `TestDatabase`, and rows for its live tables."""

import itertools
import select
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import psycopg
from psycopg import sql
from psycopg.rows import DictRow, dict_row

from common.database import migrations
from common.database.session import Session
from devservers import live_tables
from devservers.child_processes import PATIENCE, poll_until
from devservers.postgres import PostgresServer

TEMPLATE = "toast_template"

_numbers = itertools.count(1)

_OTHER_SESSIONS = """
SELECT FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid()
  AND (state <> 'idle' OR pid IN (SELECT pid FROM pg_locks WHERE locktype = 'advisory'))"""


@dataclass(slots=True)
class TestDatabase:
    """One database of the test server, with the live tables and ours, empty."""

    __test__ = False  # the name looks like a test class to pytest

    server: PostgresServer
    name: str
    # Other values where a worker connects through a pooler or to an unusual database: its port, and
    # the settings of the tests' own connections.
    port: int | None = None
    options: str = "-c TimeZone=UTC"
    greeting: str = ""
    # The open connection of each thread, for `query` and `insert`: to open one costs far more than
    # most statements do.
    _kept: threading.local = field(default_factory=threading.local, init=False)
    _columns: dict[str, list[DictRow]] = field(default_factory=dict)

    @property
    def environment(self) -> dict[str, str]:
        """The DB_* settings of a worker for this database."""
        return {
            "DB_HOST": "127.0.0.1",
            "DB_PORT": str(self.port or self.server.port),
            "DB_USER": self.server.user,
            "DB_PASSWORD": self.server.password,
            "DB_NAME": self.name,
            "DB_SSL_MODE": "disable",
        }

    def connect(self, **keywords: Any) -> psycopg.Connection[DictRow]:
        """A new connection: autocommit, UTC, rows as dicts; close it or use it in a `with`."""
        settings: dict[str, Any] = {
            "autocommit": True,
            "options": self.options,
            "row_factory": dict_row,
        }
        settings = {**self.server.connection(self.name), **settings, **keywords}
        connection = psycopg.connect(**{**settings, "autocommit": True})
        if self.greeting:
            connection.execute(self.greeting.encode())
        connection.autocommit = settings["autocommit"]
        return connection

    def session(self) -> Session:
        """A new connection like the workers'."""
        keywords = {**self.server.connection(self.name), "port": self.port or self.server.port}
        del keywords["options"]
        session = Session.open(keywords, settings_refused=self.port is not None)
        if self.greeting:
            session.execute(self.greeting.encode())
        return session

    def query(self, statement: str, *parameters: object) -> list[DictRow]:
        """Every row of a statement; none for one that returns no rows."""
        cursor = self._execute(statement, parameters or None)
        return cursor.fetchall() if cursor.description is not None else []

    def one(self, statement: str, *parameters: object) -> DictRow:
        """The only row of a statement."""
        [row] = self.query(statement, *parameters)
        return row

    def count(self, rows: str, *parameters: object) -> int:
        """How many rows a table has, or `a table WHERE a condition`."""
        return int(self.one(f"SELECT count(*) FROM {rows}", *parameters)["count"])

    def wait_until_left(self) -> None:
        """Wait until no other session works here or holds a lock: after a kill the server ends the
        session a bit later than the process."""
        assert poll_until(lambda: not self.query(_OTHER_SESSIONS), PATIENCE)

    def insert(self, table: str, **columns: object) -> DictRow:
        """Insert one row and return all its columns.

        A column that is not given gets its default or what a Go service would write: NULL, '', 0,
        false or now, a new parent row for a required reference, and a new text if it must be
        unique.
        """
        values = {**self._zero_values(table, columns), **columns}
        statement = sql.SQL("INSERT INTO {} ({}) VALUES ({}) RETURNING *").format(
            sql.Identifier(table),
            sql.SQL(", ").join(map(sql.Identifier, values)),
            sql.SQL(", ").join(sql.Placeholder() * len(values)),
        )
        return self._execute(statement, list(values.values())).fetchone() or {}

    def _execute(
        self, statement: str | sql.Composed, parameters: Sequence[object] | None
    ) -> psycopg.Cursor[DictRow]:
        text = statement.encode() if isinstance(statement, str) else statement
        try:
            return self._connection().execute(text, parameters)
        except psycopg.Error:
            self.close()  # the statement may have begun a transaction
            raise

    def _connection(self) -> psycopg.Connection[DictRow]:
        """The kept connection of this thread; a new one after a restart or for another server."""
        kept = getattr(self._kept, "connection", None)
        if kept is None or self._kept.server is not self.server or _is_lost(kept):
            # A plan that the server remembers would fail after a change of the table.
            kept = self.connect(prepare_threshold=None)
            self._kept.connection, self._kept.server = kept, self.server
        return kept

    def close(self) -> None:
        """Close the kept connection of this thread."""
        if kept := getattr(self._kept, "connection", None):
            kept.close()

    def _zero_values(self, table: str, given: dict[str, object]) -> dict[str, object]:
        if table not in self._columns:
            self._columns[table] = live_tables.without_default(self._connection(), table)
        missing = (column for column in self._columns[table] if column["name"] not in given)
        return {column["name"]: self._zero_value(column) for column in missing}

    def _zero_value(self, column: DictRow) -> object:
        value = live_tables.zero_value(column)
        if value is not None and column["parent"] is not None:
            return self.insert(column["parent"])[column["parent_column"]]
        return f"row{next(_numbers)}" if value == "" and column["is_unique"] else value


def _is_lost(connection: psycopg.Connection[DictRow]) -> bool:
    """Whether the server has ended the session: an idle one is else sent nothing."""
    return connection.closed or bool(select.select([connection.fileno()], [], [], 0)[0])


def create_template(server: PostgresServer) -> str:
    """Create the template of every test's database; returns its name."""
    with psycopg.connect(**server.connection(), autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {TEMPLATE}")
    with TestDatabase(server, TEMPLATE).session() as connection:
        connection.execute(live_tables.sql().encode())
        migrations.migrate(connection, migrations.all_migrations())
    return TEMPLATE


@contextmanager
def fresh_database(server: PostgresServer) -> Iterator[TestDatabase]:
    """A copy of the template, dropped at the end also with open connections."""
    name = f"test_{next(_numbers)}"
    with psycopg.connect(**server.connection(), autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name} TEMPLATE {TEMPLATE} STRATEGY FILE_COPY")
    database = TestDatabase(server, name)
    try:
        yield database
    finally:
        database.close()
        with psycopg.connect(**server.connection(), autocommit=True) as connection:
            connection.execute(f"DROP DATABASE {name} WITH (FORCE)")
