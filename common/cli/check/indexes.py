"""Checks indexes: for ON CONFLICT, for references to deleted rows, and for a pass without due rows.

An index counts as present if it is a valid B-tree that begins with the wanted columns in order. A
partial index must have the same condition, but need not exclude soft-deleted rows, which are few. A
full index does not replace it: it begins with all rows that were processed long ago.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from psycopg.rows import class_row

from common.cli.check.big_tables import BIG_ROWS, Sizes
from common.cli.check.checked_service import Subject
from common.cli.check.findings import Finding, error, ok, warning
from common.config import TOAST_PUNCTUAL
from common.database.session import Connection
from common.database.table_access import Index

_PRESENT = """
SELECT class.oid::regclass::text AS table, index.indexrelid::regclass::text AS name,
       index.indisunique AS is_unique,
       index.indisvalid AND index.indisready AS is_valid,
       ARRAY(SELECT coalesce(attribute.attname, '')::text
             FROM generate_series(0, index.indnkeyatts - 1) AS place
             LEFT JOIN pg_attribute AS attribute
                 ON attribute.attrelid = class.oid AND attribute.attnum = index.indkey[place]
             ORDER BY place) AS columns,
       coalesce(pg_get_expr(index.indpred, index.indrelid), '') AS condition
FROM pg_index AS index
JOIN pg_class AS class ON class.oid = index.indrelid
JOIN pg_class AS itself ON itself.oid = index.indexrelid
JOIN pg_am AS method ON method.oid = itself.relam
WHERE method.amname = 'btree'
  AND class.oid = ANY (SELECT to_regclass(name) FROM unnest(%(tables)s::text[]) AS name)"""

# Foreign keys of any table to these tables.
_REFERENCES = """
SELECT reference.conrelid::regclass::text AS table,
       ARRAY(SELECT attribute.attname::text
             FROM unnest(reference.conkey) WITH ORDINALITY AS key (number, place)
             JOIN pg_attribute AS attribute
                 ON attribute.attrelid = reference.conrelid AND attribute.attnum = key.number
             ORDER BY key.place) AS columns
FROM pg_constraint AS reference
WHERE reference.contype = 'f' AND reference.confrelid = ANY (
    SELECT to_regclass(name) FROM unnest(%(tables)s::text[]) AS name)
ORDER BY 1, 2"""

_CAST = re.compile(r"::(?:character varying|text)\b(?:\(\d+\))?")
_NOT_DELETED = "deleted_at IS NULL"

# What happens without an index.
_NOT_UNIQUE = "{table} has no unique index on ({columns}), without which nothing can be recorded"
_LOOKED_UP = "{rows}, looked up by {columns} without an index"
_READ_WHOLE = "{rows}, all read by every pass that looks for due ones"
_DONE_LATE = f"{_READ_WHOLE}; they are done at the next interval, not when they are due"


@dataclass(frozen=True, slots=True)
class Wanted:
    """An index, and what happens ``without`` it."""

    table: str
    index: Index
    without: str


@dataclass(frozen=True, slots=True)
class Present:
    """A B-tree in the database; an expression among its ``columns`` is ""."""

    table: str
    name: str
    is_unique: bool
    is_valid: bool
    columns: list[str]
    condition: str

    def serves(self, wanted: Wanted) -> bool:
        """True if it can serve as the wanted index, provided it is valid."""
        columns = wanted.index.columns
        if wanted.without == _NOT_UNIQUE:
            whole = self.is_unique and not self.condition
            return whole and sorted(self.columns) == sorted(columns)
        begins = tuple(self.columns[: len(columns)]) == columns
        return begins and _same(self.condition, wanted.index.where)


def check(connection: Connection, subject: Subject) -> Iterator[Finding]:
    """Look for every index that an enabled scheduler wants on a table that exists."""
    every = _wanted(connection, subject)
    names = {"tables": list({wanted.table for wanted in every})}
    sizes = Sizes(connection, names["tables"])
    with connection.cursor(row_factory=class_row(Present)) as cursor:
        present = cursor.execute(_PRESENT, names).fetchall()
    findings, later = [], 0
    for wanted in every:
        alike = [one for one in present if one.table == wanted.table and one.serves(wanted)]
        if wanted.table not in sizes or any(one.is_valid for one in alike):
            continue
        if wanted.without in (_READ_WHOLE, _DONE_LATE) and not sizes.is_big(wanted.table):
            later += 1
        else:
            findings.append(_missing(wanted, sizes, [one.name for one in alike]))
    yield from findings
    if subject.live and not findings:
        more = f"; {later} more would pay beyond {BIG_ROWS:,} rows" if later else ""
        yield ok("indexes", f"those that matter are there{more}")


def _wanted(connection: Connection, subject: Subject) -> list[Wanted]:
    """Every index that the schedulers declare or that references to deleted rows need, once."""
    deleted = [access.table.name for access in subject.live if access.delete]
    references = connection.execute(_REFERENCES, {"tables": deleted})
    found = [
        Wanted(access.table.name, Index(columns), _NOT_UNIQUE)
        for access in subject.accesses
        for columns in access.unique
    ]
    found += [Wanted(row["table"], Index(tuple(row["columns"])), _LOOKED_UP) for row in references]
    for access in subject.live:
        found += [Wanted(access.table.name, index, _LOOKED_UP) for index in access.needs]
    for access in subject.live:
        is_late = access.is_timed and subject.settings[TOAST_PUNCTUAL]
        without = _DONE_LATE if is_late else _READ_WHOLE
        found += [Wanted(access.table.name, index, without) for index in access.profits]
    return list(dict.fromkeys(found))


def _missing(wanted: Wanted, sizes: Sizes, broken: Sequence[str]) -> Finding:
    """The finding, with SQL that creates the index and drops invalid ones."""
    table, index, without = wanted.table, wanted.index, wanted.without
    columns = ", ".join(index.columns)
    drop = "".join(f"DROP INDEX CONCURRENTLY {name}; " for name in broken)
    unique = "UNIQUE " if without == _NOT_UNIQUE else ""
    where = f" WHERE {index.where}" if index.where else ""
    is_severe = unique or (without == _LOOKED_UP and sizes.is_big(table))
    return (error if is_severe else warning)(
        "indexes",
        without.format(table=table, columns=columns, rows=sizes.describe(table)),
        f"{drop}CREATE {unique}INDEX CONCURRENTLY ON {table} ({columns}){where};",
    )


def _same(present: str, wanted: str) -> bool:
    """True if an index with the condition ``present`` serves the condition ``wanted``."""
    has, wants = _terms(present), _terms(wanted)
    return has in (wants, wants - {_NOT_DELETED} or wants)


def _terms(condition: str) -> frozenset[str]:
    """The terms that AND joins, normalised."""
    plain = _CAST.sub("", condition).replace("(", "").replace(")", "").replace(" = true", "")
    return frozenset(filter(None, map(str.strip, plain.split(" AND "))))
