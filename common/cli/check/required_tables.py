"""Checks the live tables: present, with the columns and types that a service uses.

Types are compared besides trying the statements: a message has text or a number as its column has,
and a time without a zone compares with one that has it.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence

import psycopg
from psycopg.rows import DictRow

from common.cli.check.checked_service import Subject
from common.cli.check.findings import Finding, error, ok
from common.database import migrations
from common.database.advice import advice
from common.database.connection import Database
from common.database.session import Session
from common.database.table_access import Table, TableAccess
from common.database.usable_tables import obstacles
from common.scheduling.pass_runner import PassRunner

# Types that our statements treat alike.
_ALIKE = (frozenset({"text", "character varying"}), frozenset({"smallint", "integer", "bigint"}))

_COLUMNS = """
SELECT wanted.name AS table, attribute.attname AS column,
       format_type(attribute.atttypid, NULL) AS type,
       attribute.attnotnull AND NOT attribute.atthasdef AND attribute.attidentity = ''
           AS must_be_given
FROM unnest(%(tables)s::text[]) AS wanted (name)
JOIN pg_class AS class ON class.oid = to_regclass(wanted.name)
JOIN pg_attribute AS attribute ON attribute.attrelid = class.oid
WHERE attribute.attnum > 0 AND NOT attribute.attisdropped"""

_MOVED = "adapt the scheduler to the live service's new table, or switch it off until then"


def check(connection: Session, subject: Subject) -> Iterator[Finding]:
    """Compare the declared tables with the database."""
    uses: defaultdict[str, list[TableAccess]] = defaultdict(list)
    for access in subject.live:
        uses[access.table.name].append(access)
    present: defaultdict[str, list[DictRow]] = defaultdict(list)
    for row in connection.execute(_COLUMNS, {"tables": list(uses)}):
        present[row["table"]].append(row)
    # Our own tables are checked once they exist; postgres.py reports pending migrations.
    used = (
        subject.live
        if migrations.pending_inside(connection, subject.migrations)
        else subject.accesses
    )
    findings = [error("tables", found.message, found.fix) for found in obstacles(connection, used)]
    findings += (
        finding
        for name, accesses in uses.items()
        if present[name]
        for finding in _compare(accesses, present[name])
    )
    yield from findings
    if uses and not findings:
        columns = sum(len(_used(accesses)) for accesses in uses.values())
        yield ok("tables", f"{', '.join(uses)}: all {columns} columns are as expected")


def try_statements(connection: Session, subject: Subject) -> Iterator[Finding]:
    """Let PostgreSQL plan each statement that is known before a pass; it runs none."""
    if migrations.pending_inside(connection, subject.migrations):
        return
    database = Database(subject.settings)
    for scheduler in subject.schedulers:
        try:
            with connection.transaction():
                PassRunner(scheduler, subject.settings, database).explain(connection)
        except psycopg.Error as fault:
            tables = ", ".join(dict.fromkeys(one.table.name for one in scheduler.tables))
            message = f"{scheduler.name} cannot use {tables}: {fault}"
            yield error("statements", message, advice(fault) or _MOVED)


def fits(declared: str, present: str) -> bool:
    """True if our statements work on a column of the type ``present``."""
    return declared == present or any({declared, present} <= alike for alike in _ALIKE)


def _compare(accesses: Sequence[TableAccess], rows: Sequence[DictRow]) -> Iterator[Finding]:
    table = accesses[0].table
    types = {row["column"]: row["type"] for row in rows}
    yield from _odd_columns(table, _used(accesses), types)
    inserted = [set(access.insert) for access in accesses if access.insert]
    ungiven = [
        row["column"]
        for row in rows
        if row["must_be_given"] and any(row["column"] not in given for given in inserted)
    ]
    if ungiven:
        yield error(
            "tables",
            f"{table.name}: {', '.join(ungiven)} must be given, which a scheduler does not",
            f"give it a default: ALTER TABLE {table.name} ALTER {ungiven[0]} SET DEFAULT ...;",
        )


def _odd_columns(table: Table, used: Sequence[str], types: Mapping[str, str]) -> Iterator[Finding]:
    missing = [name for name in used if name not in types]
    if missing:
        yield error("tables", f"{table.name} has no column {', '.join(missing)}", _MOVED)
    for name in used:
        declared = table.columns[name]
        if name in types and not fits(declared, types[name]):
            message = f"{table.name}.{name} is {types[name]}; expected {declared}"
            yield error("tables", message, _MOVED)


def _used(accesses: Sequence[TableAccess]) -> list[str]:
    """Every column that these accesses name, except ctid."""
    named = (
        name for access in accesses for name in (*access.select, *access.insert, *access.update)
    )
    return [name for name in dict.fromkeys(named) if name != "ctid"]
