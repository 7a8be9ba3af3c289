"""Rows that a scheduler must change, and rows that it must not change."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from uuid import UUID

from psycopg.rows import DictRow

from common.scheduling.scheduler import Scheduler
from testing.database import TestDatabase

LIVE_TABLES = """
SELECT table_name::text AS name FROM information_schema.columns
WHERE table_schema = 'public' AND column_name = 'id' AND table_name NOT LIKE 'toast\\_%'"""

# The number makes the volatile function run once per copy.
COPY = """
INSERT INTO {table} SELECT copy.* FROM {table} AS original, generate_series(1, %s) AS number,
    jsonb_populate_record(original, jsonb_build_object(
        'id', gen_random_uuid(), '{unique}', 'copy' || number)) AS copy
WHERE original.id = %s
RETURNING id"""

COPY_CHILDREN = """
INSERT INTO {table} SELECT copy.* FROM {table} AS original, unnest(%s::uuid[]) AS parent,
    jsonb_populate_record(original, jsonb_build_object(
        'id', gen_random_uuid(), '{reference}', parent)) AS copy
WHERE original.{reference} = %s"""


@dataclass(frozen=True, slots=True)
class Row:
    """One row: a Row among its ``columns`` is its parent; ``children`` are by the name of the
    column that refers to this row."""

    table: str
    columns: Mapping[str, object] = field(default_factory=dict)
    children: Mapping[str, Sequence[Row]] = field(default_factory=dict)

    def insert(self, database: TestDatabase) -> DictRow:
        """Insert the row, its parents before it and its children after it."""
        columns = {
            name: value.insert(database)["id"] if isinstance(value, Row) else value
            for name, value in self.columns.items()
        }
        inserted = database.insert(self.table, **columns)
        for reference, children in self.children.items():
            for child in children:
                Row(child.table, {**child.columns, reference: inserted["id"]}).insert(database)
        return inserted

    def insert_many(self, database: TestDatabase, rows: int, unique: str) -> None:
        """Insert the row that many times, with its children, each with its own ``unique``.

        The planner has no statistics on them, as after a restore or a bulk load.
        """
        first = self.insert(database)["id"]
        copy = COPY.format(table=self.table, unique=unique)
        copies = [row["id"] for row in database.query(copy, rows - 1, first)]
        for reference, children in self.children.items():
            for table in {child.table for child in children}:
                copy = COPY_CHILDREN.format(table=table, reference=reference)
                database.query(copy, copies, first)


@dataclass(frozen=True, slots=True)
class Case:
    """What one scheduler must do with its rows at passes.NOW.

    The keys of ``due`` and ``stays`` are the reasons why a row is due or stays. A pass sets
    ``changes`` on every due row, or deletes it and its children if that is None, and announces it
    if ``announces``. ``unique`` is a column with a unique constraint.
    """

    scheduler: Scheduler
    due: Mapping[str, Row]
    stays: Mapping[str, Row]
    changes: Mapping[str, object] | None
    announces: bool
    unique: str = ""

    @property
    def table(self) -> str:
        return self.first_due.table

    @property
    def first_due(self) -> Row:
        return next(iter(self.due.values()))

    @property
    def repeatable(self) -> list[Row]:
        """All its rows but those with an id of their own: a second one could not be inserted."""
        return [
            row for row in (*self.due.values(), *self.stays.values()) if "id" not in row.columns
        ]

    def insert(self, database: TestDatabase) -> dict[UUID, str]:
        """Insert every row; returns by id the reason why it is due or stays."""
        rows = {**self.due, **self.stays}
        return {row.insert(database)["id"]: why for why, row in rows.items()}

    def insert_many(self, database: TestDatabase, rows: int) -> list[UUID]:
        """Insert that many due rows, and those that stay; returns the ids of these."""
        self.first_due.insert_many(database, rows, self.unique)
        return [row.insert(database)["id"] for row in self.stays.values()]

    def after(self, database: TestDatabase, due: set[UUID]) -> dict[str, dict[UUID, DictRow]]:
        """The live tables as they must be after a pass with these ``due`` rows."""
        tables = live_rows(database)
        if self.changes is not None:
            for row in due:
                tables[self.table][row] |= self.changes
            return tables
        references = {
            (child.table, reference)
            for row in self.due.values()
            for reference, children in row.children.items()
            for child in children
        }
        tables[self.table] = _without(tables[self.table], "id", due)
        for table, reference in references:
            tables[table] = _without(tables[table], reference, due)
        return tables

    def not_done(self, database: TestDatabase, stays: Sequence[UUID]) -> int:
        """How many rows, without those in ``stays``, are not as a pass must leave them."""
        condition = "id <> ALL (%s)"
        if self.changes is not None:
            done = " AND ".join(f"{name} = %s" for name in self.changes) or "true"
            condition += f" AND NOT coalesce({done}, false)"
        values = (self.changes or {}).values()
        return database.count(f"{self.table} WHERE {condition}", list(stays), *values)


def live_rows(database: TestDatabase) -> dict[str, dict[UUID, DictRow]]:
    """Every row of every live table, by table and id."""
    return {
        table["name"]: {row["id"]: row for row in database.query(f"SELECT * FROM {table['name']}")}
        for table in database.query(LIVE_TABLES)
    }


def _without(rows: dict[UUID, DictRow], column: str, values: set[UUID]) -> dict[UUID, DictRow]:
    return {key: row for key, row in rows.items() if row[column] not in values}
