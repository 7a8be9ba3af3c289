"""Numbered SQL files that create the tables of our own; they never touch a live table.

A file that has been applied anywhere is never edited: a change is a new file.
"""

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import psycopg

from common import logs
from common.scheduler import PassError
from common.session import Connection, Session

_log = logs.logger(__name__)

_LOCK = "SELECT pg_advisory_xact_lock(hashtextextended('toast-migrate', 0))"

_CREATE_HISTORY = """
CREATE TABLE IF NOT EXISTS toast_migrations (
    number integer PRIMARY KEY,
    name text NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT now()
)"""

_APPLIED = "SELECT number FROM toast_migrations"

_RECORD = "INSERT INTO toast_migrations (number, name) VALUES (%s, %s)"


class MigrationsPending(PassError):
    """Tables of our own are missing, and this process may not or could not create them."""


@dataclass(frozen=True, slots=True)
class Migration:
    """One numbered file: ``0001_outbox.sql`` is number 1, name ``0001_outbox``."""

    number: int
    name: str
    sql: str


@cache  # asked for at every pass
def all_migrations() -> tuple[Migration, ...]:
    """Every migration that this version ships, in order."""
    files = sorted(Path(__file__).parent.glob("*.sql"))
    return tuple(
        Migration(int(file.name[:4]), file.stem, file.read_text("utf-8")) for file in files
    )


def pending(connection: Connection) -> tuple[Migration, ...]:
    """The migrations that this database has not seen yet; reads only."""
    try:
        applied = {row["number"] for row in connection.execute(_APPLIED)}
    except psycopg.errors.UndefinedTable:
        return all_migrations()
    return tuple(migration for migration in all_migrations() if migration.number not in applied)


def migrate(connection: Session) -> tuple[Migration, ...]:
    """Apply what is pending in one transaction, under a lock, and return it.

    Two processes may call this at once: the second waits and finds nothing to do.
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
    """Make sure that the tables of our own are there, applying migrations where allowed.

    Raises MigrationsPending, naming what to run, where they are missing and stay so.
    """
    if may_apply:
        try:
            migrate(connection)
        except psycopg.errors.InsufficientPrivilege as error:
            raise MigrationsPending(
                "this role may not create the toast_ tables: run `toast migrate` once with a "
                f"role that may ({error.diag.message_primary})"
            ) from error
        return
    missing = pending(connection)
    if missing:
        names = ", ".join(migration.name for migration in missing)
        raise MigrationsPending(f"run `toast migrate`: not applied here yet: {names}")
