"""Checks for free room on the pages of big tables, for new versions of updated rows.

Without it, a pass that changes many rows writes more pages, and to every index. That is no fault,
so this is advice.
"""

from collections.abc import Iterator

from common.cli.check.checked_service import Subject
from common.cli.check.findings import Finding, ok
from common.cli.check.table_sizes import Sizes
from common.database.session import Connection

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
