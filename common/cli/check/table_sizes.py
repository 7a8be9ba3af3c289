"""Estimates the size of tables without counting."""

from collections.abc import Sequence

from common.database.session import Connection

# A full read of a smaller table takes some milliseconds.
BIG_ROWS = 10_000

# The number of rows as the planner estimates it; without statistics, by the table's size.
_ROWS = """
SELECT class.oid::regclass::text AS table,
       CASE WHEN class.relpages > 0
            THEN class.reltuples / class.relpages
                 * (pg_relation_size(class.oid) / current_setting('block_size')::int)
            ELSE pg_relation_size(class.oid) / 100 END::bigint AS rows
FROM pg_class AS class
WHERE class.oid = ANY (SELECT to_regclass(name) FROM unnest(%(tables)s::text[]) AS name)"""


class Sizes:
    """The sizes of those of ``tables`` that exist."""

    def __init__(self, connection: Connection, tables: Sequence[str]) -> None:
        found = connection.execute(_ROWS, {"tables": tables})
        self._rows = {row["table"]: int(row["rows"]) for row in found}

    def __contains__(self, table: str) -> bool:
        return table in self._rows

    def is_big(self, table: str) -> bool:
        return self._rows[table] > BIG_ROWS

    def describe(self, table: str) -> str:
        """The table and its number of rows, in words."""
        return f"{table} has about {self._rows[table]:,} rows"
