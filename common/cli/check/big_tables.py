"""Big tables: their sizes, estimated without counting, and free room on their pages.

Without room for new versions of updated rows, a pass that changes many writes more pages, and to
every index. That is no fault, so this is advice.
"""

from collections.abc import Iterator, Sequence

from common.cli.check.checked_service import Subject
from common.cli.check.findings import Finding, ok
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

# In percent; `make bench` measures the gain.
ROOMY_FILLFACTOR = 50

# Tables without a fillfactor: PostgreSQL fills their pages.
_FULL = """
SELECT class.oid::regclass::text AS table
FROM pg_class AS class
WHERE class.oid = ANY (SELECT to_regclass(name) FROM unnest(%(tables)s::text[]) AS name)
  AND NOT EXISTS (SELECT FROM pg_options_to_table(class.reloptions)
                  WHERE option_name = 'fillfactor')
ORDER BY 1"""


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


def check(connection: Connection, subject: Subject) -> Iterator[Finding]:
    """Check every big table that an enabled scheduler updates."""
    # A scheduler that deletes rows has UPDATE only to lock them.
    changing = (access for access in subject.live if access.update and not access.delete)
    tables = list({access.table.name for access in changing})
    sizes = Sizes(connection, tables)
    for row in connection.execute(_FULL, {"tables": tables}).fetchall():
        table = row["table"]
        if sizes.is_big(table):
            yield ok(
                "pages",
                f"{sizes.describe(table)}, on full pages; with room, many are changed in less time",
                f"ALTER TABLE {table} SET (fillfactor = {ROOMY_FILLFACTOR}); what is there gets"
                f" it by VACUUM FULL {table}, which locks the table",
            )
