"""Live tables in the shapes that other people give them: partitioned, or with heirs.

The parts are in a schema of their own, so that nothing takes them for live tables.
"""

import itertools
from collections.abc import Iterator, Sequence
from datetime import datetime
from uuid import UUID

from testing.database import TestDatabase
from testing.passes import DAY, NOW

# References to the old table; a partitioned one need not have the key that they would need.
REFERENCES = """
SELECT format('ALTER TABLE %%s DROP CONSTRAINT %%I', conrelid::regclass, conname) AS dropping
FROM pg_constraint WHERE contype = 'f' AND confrelid = %s::regclass"""

TIME_COLUMNS = """
SELECT column_name::text AS name FROM information_schema.columns
WHERE table_schema = 'public' AND table_name = %s AND data_type LIKE 'timestamp%%'
ORDER BY ordinal_position"""

# A copy of one row with the id of another.
COPY = """
INSERT INTO {heap} SELECT copy.* FROM parts.{table}_before AS original,
    jsonb_populate_record(original, jsonb_build_object('id', %s::uuid)) AS copy
WHERE original.id = %s"""


def time_columns(database: TestDatabase, table: str) -> list[str]:
    return [row["name"] for row in database.query(TIME_COLUMNS, table)]


def partition(database: TestDatabase, table: str, key: str) -> None:
    """Partition a table, with its rows: by ranges of a time column, or by the hash of an id."""
    make_anew(database, table, f"PARTITION BY {'HASH' if key == 'id' else 'RANGE'} ({key})")
    for number, bounds in enumerate(_bounds(key)):
        database.query(f"CREATE TABLE parts.{table}_{number} PARTITION OF {table} {bounds}")
    database.query(f"INSERT INTO {table} SELECT * FROM parts.{table}_before")


def give_heirs(database: TestDatabase, table: str, heirs: int) -> list[str]:
    """Make tables that inherit from it, all empty; returns the names of all, its own first."""
    make_anew(database, table, "")
    names = [f"parts.{table}_{number}" for number in range(heirs)]
    for name in names:
        database.query(f"CREATE TABLE {name} () INHERITS ({table})")
    return [table, *names]


def fill(database: TestDatabase, table: str, heap: str, rows: Sequence[UUID]) -> None:
    """Put these rows of the table as it was into one of its heaps, in this order."""
    for row in rows:
        put_copy(database, table, heap, row, row)


def put_copy(database: TestDatabase, table: str, heap: str, row: UUID, id: UUID) -> None:
    """Put a row of the table as it was into one of its heaps, under another id."""
    database.query(COPY.format(heap=heap, table=table), id, row)


def make_anew(database: TestDatabase, table: str, kind: str) -> None:
    """Move a table with its rows to parts.TABLE_before, and make an empty one of this kind."""
    for row in database.query(REFERENCES, table):
        database.query(row["dropping"])
    database.query("CREATE SCHEMA parts")
    database.query(f"ALTER TABLE {table} RENAME TO {table}_before")
    database.query(f"ALTER TABLE {table}_before SET SCHEMA parts")
    database.query(f"CREATE TABLE {table} (LIKE parts.{table}_before INCLUDING DEFAULTS) {kind}")


def _bounds(key: str) -> Iterator[str]:
    if key == "id":
        yield from (f"FOR VALUES WITH (MODULUS 3, REMAINDER {number})" for number in range(3))
        return
    limits = ["MINVALUE", *map(_text, (NOW - 45 * DAY, NOW - 29 * DAY, NOW)), "MAXVALUE"]
    for first, end in itertools.pairwise(limits):
        yield f"FOR VALUES FROM ({first}) TO ({end})"
    yield "DEFAULT"  # for NULL


def _text(time: datetime) -> str:
    return f"'{time.isoformat()}'"
