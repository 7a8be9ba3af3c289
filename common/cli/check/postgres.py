"""Checks PostgreSQL: reachable, recent enough, clocks in sync, and all that a service needs."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta

import psycopg

from common import config
from common.cli.check import (
    big_tables,
    indexes,
    left_rows,
    privileges,
    required_tables,
    session,
    side_effects,
)
from common.cli.check.checked_service import Subject
from common.cli.check.findings import ERROR, Finding, Found, error, ok, warning
from common.database import migrations, run_history
from common.database.advice import advice
from common.database.connection import Database
from common.database.session import Session
from common.database.usable_tables import way_to
from common.scheduling.under_way import clock_guard

OLDEST_VERSION = 14
# Limits of the whole check, and of each statement.
SECONDS = 45.0
_LIMITS = {"statement_timeout": "10s"}
SUSPICIOUS_DIFFERENCE = timedelta(minutes=1)

Check = Callable[[Session, Subject], Iterator[Finding]]

_NOW = "SELECT clock_timestamp() AS now"

# Tables go into the first schema of the search path; a later migration may alter earlier tables.
_MAY_MIGRATE = """
SELECT coalesce(has_schema_privilege(current_schema(), 'CREATE'), false)
       AND coalesce((SELECT pg_has_role(relowner, 'USAGE') FROM pg_class
                     WHERE oid = to_regclass('toast_migrations')), true) AS may"""


def check(subjects: Sequence[Subject]) -> Iterator[Found]:
    """Check services with the same database and role."""
    settings = subjects[0].settings
    database = Database(settings)
    try:
        with database.connect_for(SECONDS) as connection:
            for subject in subjects:
                yield subject.name, _version(connection)
                for finding in _contents(connection, subject):
                    yield subject.name, finding
    except psycopg.Error as fault:
        for subject in subjects:
            yield (
                subject.name,
                error(
                    "postgres",
                    f"{database.name} as {settings[config.DB_USER]}: {fault}",
                    advice(fault) or "start it, or correct the DB_ settings or pg_hba.conf",
                ),
            )
            for name in _CHECKS:
                yield subject.name, warning(name, "not checked: PostgreSQL cannot be used")


def _contents(connection: Session, subject: Subject) -> Iterator[Finding]:
    is_fine = True
    for name, check_it in _CHECKS.items():
        for finding in _findings(connection, subject, name, check_it):
            is_fine &= finding.level != ERROR
            yield finding
    # A statement that fails after an error would say the same in fewer words.
    if is_fine:
        yield from _findings(connection, subject, "statements", required_tables.try_statements)


def _findings(
    connection: Session, subject: Subject, name: str, check_it: Check
) -> Iterable[Finding]:
    try:
        with connection.begin(_LIMITS, read_only=True):
            return list(check_it(connection, subject))
    except psycopg.Error as fault:
        return [error(name, f"not checked: {fault.diag.message_primary or fault}", advice(fault))]


def _version(connection: Session) -> Finding:
    info = connection.info
    version = info.server_version
    summary = (
        f"{info.host}:{info.port}/{info.dbname} as {info.user}:"
        f" PostgreSQL {version // 10_000}.{version % 10_000}"
    )
    if connection.is_pooled:
        summary = f"{summary}, through a connection pooler"
    if version // 10_000 < OLDEST_VERSION:
        return error("postgres", summary, f"upgrade it to {OLDEST_VERSION} or later")
    return ok("postgres", summary)


def _clocks(connection: Session, subject: Subject) -> Iterator[Finding]:
    before = datetime.now(UTC)
    row = connection.execute(_NOW).fetchone()
    after = datetime.now(UTC)
    if row:
        yield judge_clocks(row["now"] - (before + (after - before) / 2))


def judge_clocks(ahead: timedelta) -> Finding:
    """The finding for a database clock that is ``ahead`` of this host's."""
    difference = abs(ahead)
    seconds = f"{difference.total_seconds():.1f} s"
    if difference <= SUSPICIOUS_DIFFERENCE:
        return ok("clocks", f"those of database and host agree within {seconds}")
    side = "ahead of" if ahead > timedelta() else "behind"
    message = f"the database's is {seconds} {side} this host's"
    fix = "set the one that is wrong; let NTP keep both"
    if difference <= clock_guard.MOST_DIFFERENCE:
        return warning("clocks", message, fix)
    return error("clocks", f"{message}: passes that delete refuse to run", fix)


def _own_tables(connection: Session, subject: Subject) -> Iterator[Finding]:
    pending = migrations.pending_inside(connection, subject.migrations)
    if not pending:
        yield ok("own tables", "all migrations are applied")
        for line in migrations.newer(connection):
            yield warning("own tables", line, "finish the upgrade, or its rollback")
        return
    if pending == subject.migrations and (way := way_to(connection, "toast_migrations")):
        yield error("own tables", "this role cannot see them, though they are there", way)
        return
    if fault := migrations.names_taken(connection, pending):
        yield error("own tables", fault, migrations.RENAME)
        return
    names = ", ".join(migration.name for migration in pending)
    row = connection.execute(_MAY_MIGRATE).fetchone()
    if subject.may_migrate and row and row["may"]:
        yield warning(
            "own tables",
            f"not applied yet: {names}; this role may, so a worker will at its start",
            "run `toast migrate` before that, to see it done",
        )
        return
    reason = "this role may not create them" if row and not row["may"] else "TOAST_MIGRATE is off"
    fix = "run `toast migrate` as the owner of the database, then db/roles.sql"
    yield error("own tables", f"not applied yet: {names}; {reason}", fix)


def _live_rows(connection: Session, subject: Subject) -> Iterator[Finding]:
    """Warn of live rows that passes cannot use."""
    for scheduler in subject.schedulers:
        if scheduler.row_faults:
            try:
                faults = list(scheduler.row_faults(connection, subject.settings))
            except psycopg.ProgrammingError:
                return  # a table, column or right is missing, which other checks say
            for message, fix in faults:
                yield warning("rows", f"{scheduler.name}: {message}", fix)


def _passes(connection: Session, subject: Subject) -> Iterator[Finding]:
    """Warn of what the passes of the last day have seen."""
    if migrations.pending_inside(connection, subject.migrations):
        return
    for scheduler in subject.schedulers:
        for detail, message, fix in scheduler.suspicions:
            seen = run_history.total_of_a_day(connection, subject.name, scheduler.name, detail)
            if seen:
                yield warning("passes", f"{scheduler.name}: {seen:,} {message} in 24 hours", fix)


# In this order.
_CHECKS: Mapping[str, Check] = {
    "clocks": _clocks,
    "session": session.check,
    "own tables": _own_tables,
    "tables": required_tables.check,
    "side effects": side_effects.check,
    "privileges": privileges.check,
    "indexes": indexes.check,
    "pages": big_tables.check,
    "rows": _live_rows,
    "left rows": left_rows.check,
    "passes": _passes,
}
