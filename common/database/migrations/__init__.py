"""Numbered SQL files that create our own tables; they never touch a live table.

An applied file is never edited: a change is a new file, which only adds, so that older programs go
on working. Each worker applies the files whose tables it uses, and no others.
"""

import re
from collections.abc import Iterable, Sequence, Set
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import psycopg

from common import failpoints
from common.database import audit, own_tables, usable_tables
from common.database.audit import Changed, Operator
from common.database.session import Connection, Session
from common.database.table_access import TableAccess
from common.errors import PassError
from common.logging import logs
from common.version import VERSION

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

# Where a CREATE TABLE puts its table.
_TAKEN = """
SELECT relname::text AS name FROM pg_class
WHERE relnamespace = to_regnamespace(quote_ident(current_schema())) AND relname = ANY (%s)"""

RENAME = "rename or drop it, then run `toast migrate`"

_AUDIT = TableAccess(own_tables.AUDIT)

_TABLE = re.compile(r"^(CREATE|ALTER) TABLE (\w+)", re.MULTILINE)


class MigrationsPending(PassError):
    """Our own tables are missing, and this process may not or could not create them."""


class NameTaken(PassError):
    """The database has something else by the name of one of our own tables."""


@dataclass(frozen=True, slots=True)
class Migration:
    """One numbered file: ``0001_outbox.sql`` is number 1, name ``0001_outbox``."""

    number: int
    name: str
    sql: str

    @property
    def tables(self) -> set[str]:
        """The tables that it creates or alters."""
        return {table for _, table in _TABLE.findall(self.sql)}

    @property
    def created(self) -> set[str]:
        """The tables that it creates."""
        return {table for command, table in _TABLE.findall(self.sql) if command == "CREATE"}


@cache  # every pass needs it
def all_migrations() -> tuple[Migration, ...]:
    """Every migration of this version, in order."""
    files = sorted(Path(__file__).parent.glob("*.sql"))
    return tuple(
        Migration(int(file.name[:4]), file.stem, file.read_text("utf-8")) for file in files
    )


def needed(accesses: Iterable[TableAccess]) -> tuple[Migration, ...]:
    """The migrations whose tables these accesses use, in order."""
    used = {access.table.name for access in accesses}
    return tuple(migration for migration in all_migrations() if migration.tables & used)


def pending(connection: Connection, wanted: Sequence[Migration]) -> tuple[Migration, ...]:
    """Those of ``wanted`` that are not applied to this database; reads only."""
    applied = _applied(connection)
    return tuple(migration for migration in wanted if migration.number not in applied)


def pending_inside(connection: Connection, wanted: Sequence[Migration]) -> tuple[Migration, ...]:
    """As ``pending``, inside a transaction, which an error would end."""
    is_there = usable_tables.is_there(connection, "toast_migrations")
    return pending(connection, wanted) if is_there else tuple(wanted)


def newer(connection: Connection) -> list[str]:
    """A line for each applied migration that this version does not know."""
    return [
        f"migration {number} of a newer version is applied here; this is version {VERSION}"
        for number in sorted(_unknown(_applied(connection)))
    ]


def names_taken(connection: Connection, missing: Iterable[Migration]) -> str:
    """Why these cannot be applied: names that are in use; "" if none is. RENAME is what to do."""
    created = [table for migration in missing for table in migration.created]
    names = ", ".join(sorted(row["name"] for row in connection.execute(_TAKEN, (created,))))
    listed = "here, which toast_migrations does not list"
    return f"there is something else by the name of {names} {listed}" if names else ""


def migrate(connection: Session, wanted: Sequence[Migration]) -> tuple[Migration, ...]:
    """Apply and return those of ``wanted`` that are pending, in one transaction under a lock.

    They are recorded in the audit, whose table is created with them. Two processes may call this
    at once: the second waits and finds none. Raises NameTaken.
    """
    if not pending(connection, wanted):
        return ()
    with connection.begin():
        connection.execute(_LOCK)
        connection.execute(_CREATE_HISTORY)
        recorded = {*wanted, *needed([_AUDIT])}
        missing = pending(connection, [each for each in all_migrations() if each in recorded])
        if fault := names_taken(connection, missing):
            raise NameTaken(f"{fault} => {RENAME}")
        for migration in missing:
            connection.execute(migration.sql.encode())
            connection.execute(_RECORD, (migration.number, migration.name))
        _audit(connection, missing)
        failpoints.reach("commit")
    for migration in missing:
        _log.info("migration_applied", migration=migration.name)
    return missing


def _audit(connection: Session, applied: Sequence[Migration]) -> None:
    """Record them, unless this role may create tables, but not write to the audit of another."""
    names = [migration.name for migration in applied]
    if audit.may(connection, "INSERT"):
        changed = Changed(len(names), names[: audit.FIRST_ROWS])
        audit.record(connection, Operator.here(), "migrate", "", changed)


def require(connection: Session, accesses: Iterable[TableAccess], *, may_apply: bool) -> None:
    """Require our own tables of these accesses; apply pending migrations if ``may_apply``.

    Raises MigrationsPending, with the command to run, if tables stay missing, and NameTaken.
    """
    applied = _applied(connection)
    _log_newer(_unknown(applied))
    missing = [each for each in needed(accesses) if each.number not in applied]
    if not missing:
        return
    if not may_apply:
        _require_that_they_are_nowhere(connection)
        names = ", ".join(migration.name for migration in missing)
        raise MigrationsPending(f"run `toast migrate`: not applied here yet: {names}")
    try:
        migrate(connection, missing)
    except (psycopg.errors.InsufficientPrivilege, psycopg.errors.InvalidSchemaName) as error:
        _require_that_they_are_nowhere(connection)
        raise MigrationsPending(
            "this role may not create the toast_ tables: run `toast migrate` once with a "
            f"role that may ({error.diag.message_primary})"
        ) from error


def _applied(connection: Connection) -> set[int]:
    try:
        return {row["number"] for row in connection.execute(_APPLIED)}
    except psycopg.errors.UndefinedTable:
        return set()
    except psycopg.errors.UndefinedColumn as error:
        raise NameTaken(
            "toast_migrations is a table of another program => rename it, then run `toast migrate`"
        ) from error


def _unknown(applied: Set[int]) -> frozenset[int]:
    return frozenset(applied - {migration.number for migration in all_migrations()})


@cache  # logs once, not with every pass
def _log_newer(numbers: frozenset[int]) -> None:
    for number in sorted(numbers):
        _log.warning("newer_migration_found", number=number, version=VERSION)


def _require_that_they_are_nowhere(connection: Session) -> None:
    is_there = usable_tables.is_there(connection, "toast_migrations")
    if not is_there and (way := usable_tables.way_to(connection, "toast_migrations")):
        raise MigrationsPending(f"this role cannot see the toast_ tables, which are there => {way}")
