"""Checks indexes: for ON CONFLICT, for references to deleted rows, and for a pass without due rows.

An index counts as present if it is a valid B-tree that begins with the wanted columns in order. A
partial index must have the same condition, but need not exclude soft-deleted rows, which are few. A
full index does not replace it: it begins with all rows that were processed long ago.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from psycopg.rows import class_row

from common.cli.check.big_tables import BIG_ROWS, Sizes
from common.cli.check.checked_service import Subject
from common.cli.check.findings import Finding, error, ok, warning
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

# An index and its table.
Wanted = tuple[str, Index]


@dataclass(frozen=True, slots=True)
class Present:
    """A B-tree in the database; an expression among its ``columns`` is ""."""

    table: str
    name: str
    is_unique: bool
    is_valid: bool
    columns: list[str]
    condition: str

    def begins_as(self, wanted: Index) -> bool:
        """True if it can serve as the wanted index, provided it is valid."""
        fits = tuple(self.columns[: len(wanted.columns)]) == wanted.columns
        return fits and _same(self.condition, wanted.where)

    def decides(self, columns: Sequence[str]) -> bool:
        """True if ON CONFLICT can use these columns."""
        whole = self.is_unique and not self.condition
        return self.is_valid and whole and sorted(self.columns) == sorted(columns)


class _Indexes:
    """The indexes of some tables; missing tables are ignored."""

    def __init__(self, connection: Connection, tables: Sequence[str], sizes: Sizes) -> None:
        self._sizes = sizes
        self._of: defaultdict[str, list[Present]] = defaultdict(list)
        with connection.cursor(row_factory=class_row(Present)) as cursor:
            for present in cursor.execute(_PRESENT, {"tables": tables}):
                self._of[present.table].append(present)

    def is_there(self, wanted: Wanted) -> bool:
        table, index = wanted
        present = any(each.is_valid and each.begins_as(index) for each in self._of[table])
        return present or table not in self._sizes

    def decides(self, table: str, columns: Sequence[str]) -> bool:
        return any(index.decides(columns) for index in self._of[table]) or table not in self._sizes

    def statement(self, wanted: Wanted) -> str:
        """SQL that creates the index, and drops an invalid one."""
        table, index = wanted
        broken = [each.name for each in self._of[table] if each.begins_as(index)]
        drop = "".join(f"DROP INDEX CONCURRENTLY {name}; " for name in broken)
        where = f" WHERE {index.where}" if index.where else ""
        columns = ", ".join(index.columns)
        return f"{drop}CREATE INDEX CONCURRENTLY ON {table} ({columns}){where};"


def check(connection: Connection, subject: Subject) -> Iterator[Finding]:
    """Look for every index that an enabled scheduler declares."""
    live = subject.live
    references = _references(connection, [access.table.name for access in live if access.delete])
    declared = ((access.table.name, index) for access in live for index in access.needs)
    needs = dict.fromkeys((*references, *declared))
    profits = dict.fromkeys(
        (access.table.name, index) for access in live for index in access.profits
    )
    uniques = [
        (access.table.name, columns) for access in subject.accesses for columns in access.unique
    ]
    decisions = list(dict.fromkeys(uniques))
    tables = list({table for table, _ in (*needs, *profits, *decisions)})
    sizes = Sizes(connection, tables)
    indexes = _Indexes(connection, tables, sizes)
    findings = [
        *(_undecided(*each) for each in decisions if not indexes.decides(*each)),
        *_needed(indexes, sizes, needs),
        *_profitable(indexes, sizes, profits),
    ]
    yield from findings
    if live and not findings:
        later = sum(not indexes.is_there(each) for each in profits)
        more = f"; {later} more would pay beyond {BIG_ROWS:,} rows" if later else ""
        yield ok("indexes", f"those that matter are there{more}")


def _references(connection: Connection, tables: Sequence[str]) -> Iterator[Wanted]:
    for row in connection.execute(_REFERENCES, {"tables": list(tables)}):
        yield row["table"], Index(tuple(row["columns"]))


def _undecided(table: str, columns: Sequence[str]) -> Finding:
    listed = ", ".join(columns)
    return error(
        "indexes",
        f"{table} has no unique index on ({listed}), without which nothing can be recorded",
        f"CREATE UNIQUE INDEX CONCURRENTLY ON {table} ({listed});",
    )


def _needed(indexes: _Indexes, sizes: Sizes, wanted: Iterable[Wanted]) -> Iterator[Finding]:
    for each in wanted:
        if not indexes.is_there(each):
            table, index = each
            level = error if sizes.is_big(table) else warning
            columns = ", ".join(index.columns)
            message = f"{sizes.describe(table)}, looked up by {columns} without an index"
            yield level("indexes", message, indexes.statement(each))


def _profitable(indexes: _Indexes, sizes: Sizes, wanted: Iterable[Wanted]) -> Iterator[Finding]:
    for each in wanted:
        if not indexes.is_there(each) and sizes.is_big(each[0]):
            message = f"{sizes.describe(each[0])}, all read by every pass that looks for due ones"
            yield warning("indexes", message, indexes.statement(each))


def _same(present: str, wanted: str) -> bool:
    """True if an index with the condition ``present`` serves the condition ``wanted``."""
    has, wants = _terms(present), _terms(wanted)
    return has in (wants, wants - {_NOT_DELETED} or wants)


def _terms(condition: str) -> frozenset[str]:
    """The terms that AND joins, normalised."""
    plain = _CAST.sub("", condition).replace("(", "").replace(")", "").replace(" = true", "")
    return frozenset(filter(None, map(str.strip, plain.split(" AND "))))
