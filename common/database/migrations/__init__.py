"""Numbered SQL files that create our own tables; they never touch a live table.

An applied file is never edited: a change is a new file.
"""

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import psycopg

from common.database.session import Connection, Session
from common.database.usable_tables import way_to
from common.errors import PassError
from common.logging import logs

_log = logs.logger(__name__)

_LOCK = "SELECT pg_advisory_xact_lock(hashtextextended('toast-migrate', 0))"

_CREATE_HISTORY = """
CREATE TABLE IF NOT EXISTS toast_migrations (
    number integer PRIMARY KEY,
    name text NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT now()
)"""

_APPLIED = "SELECT number FROM toast_migrations"

_IS_THERE = "SELECT to_regclass('toast_migrations') IS NOT NULL AS is_there"

_RECORD = "INSERT INTO toast_migrations (number, name) VALUES (%s, %s)"


class MigrationsPending(PassError):
    """Our own tables are missing, and this process may not or could not create them."""


@dataclass(frozen=True, slots=True)
class Migration:
    """One numbered file: ``0001_outbox.sql`` is number 1, name ``0001_outbox``."""

    number: int
    name: str
    sql: str


@cache  # every pass needs it
def all_migrations() -> tuple[Migration, ...]:
    """Every migration of this version, in order."""
    files = sorted(Path(__file__).parent.glob("*.sql"))
    return tuple(
        Migration(int(file.name[:4]), file.stem, file.read_text("utf-8")) for file in files
    )


def pending(connection: Connection) -> tuple[Migration, ...]:
    """The migrations that are not applied to this database; reads only."""
    try:
        applied = {row["number"] for row in connection.execute(_APPLIED)}
    except psycopg.errors.UndefinedTable:
        return all_migrations()
    return tuple(migration for migration in all_migrations() if migration.number not in applied)


def pending_inside(connection: Connection) -> tuple[Migration, ...]:
    """As ``pending``, inside a transaction, which an error would end."""
    row = connection.execute(_IS_THERE).fetchone()
    return pending(connection) if row and row["is_there"] else all_migrations()


def migrate(connection: Session) -> tuple[Migration, ...]:
    """Apply and return the pending migrations, in one transaction under a lock.

    Two processes may call this at once: the second waits and finds none.
    """
    if not pending(connection):
        return ()
    with connection.begin():
        connection.execute(_LOCK)
        connection.execute(_CREATE_HISTORY)
        migrations = pending(connection)
        for migration in migrations:
            connection.execute(migration.sql.encode())
            connection.execute(_RECORD, (migration.number, migration.name))
    for migration in migrations:
        _log.info("migration_applied", migration=migration.name)
    return migrations


def require(connection: Session, *, may_apply: bool) -> None:
    """Require our own tables; apply pending migrations if ``may_apply``.

    Raises MigrationsPending, with the command to run, if tables stay missing.
    """
    if may_apply:
        if not pending(connection):
            return
        try:
            migrate(connection)
        except (psycopg.errors.InsufficientPrivilege, psycopg.errors.InvalidSchemaName) as error:
            _require_that_they_are_nowhere(connection)
            raise MigrationsPending(
                "this role may not create the toast_ tables: run `toast migrate` once with a "
                f"role that may ({error.diag.message_primary})"
            ) from error
        return
    missing = pending(connection)
    if missing:
        if missing == all_migrations():
            _require_that_they_are_nowhere(connection)
        names = ", ".join(migration.name for migration in missing)
        raise MigrationsPending(f"run `toast migrate`: not applied here yet: {names}")


def _require_that_they_are_nowhere(connection: Session) -> None:
    way = way_to(connection, "toast_migrations")
    if way:
        raise MigrationsPending(f"this role cannot see the toast_ tables, which are there => {way}")
