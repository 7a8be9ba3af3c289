"""The physical place of rows: their ctid as one integer, page * 2**16 + position on the page.

A table is one heap, or several: its partitions, or the tables that inherit from it. A ctid is
unique in one heap only, so a range of ctids covers a range of each heap, and a statement that
changes rows of a range needs more than their ctid (same_rows).
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from uuid import UUID

from common.database.session import Connection

PAGE = 1 << 16
WHOLE_TABLE = (0, 0xFFFFFFFF * PAGE)

# Pages of the table and of all its partitions and children.
_HEAPS = """
WITH RECURSIVE part AS (
    SELECT to_regclass(%(table)s)::oid AS oid
    UNION
    SELECT inherits.inhrelid FROM pg_inherits AS inherits JOIN part ON inherits.inhparent = part.oid
)
SELECT pg_relation_size(class.oid) / current_setting('block_size')::int AS pages
FROM part JOIN pg_class AS class USING (oid) WHERE class.relkind = 'r'"""

# A ctid has no parts in SQL, but it is written as a point is.
_PLACES = """
SELECT coalesce(array_agg(DISTINCT place[0]::int8 * 65536 + place[1]::int8), ARRAY[]::int8[])
       AS places
FROM (
    SELECT ctid::text::point AS place FROM {table} WHERE {condition}
) AS found"""

_IDS = "SELECT {id} AS id FROM {table} WHERE ctid = %(place)s::tid ORDER BY 1"


def in_range(row: str = "") -> str:
    """SQL: the row is in the range of the batch, ``first`` to ``end``."""
    return f"{row}ctid >= %(first)s::tid AND {row}ctid < %(end)s::tid"


def same_rows(due: str, id_column: str = "id") -> str:
    """SQL: the row is one of those of the CTE ``due``, which selects their ctid and id.

    The first condition finds them, the second is right in every heap. Add the whole condition by
    which they are due: no other row may be changed.
    """
    # IS TRUE keeps the planner from a join: of a table that is not analysed it expects a handful of
    # rows, and would compare every row with every other.
    return (
        f"ctid = ANY (ARRAY(SELECT ctid FROM {due}))"
        f" AND ({id_column} IN (SELECT {id_column} FROM {due})) IS TRUE"
    )


def pages(connection: Connection, table: str) -> list[int]:
    """The number of pages of each heap of a table."""
    return [row["pages"] for row in connection.execute(_HEAPS, {"table": table})]


def slices(heaps: Sequence[int], most_pages: int) -> Iterator[tuple[int, int, float]]:
    """Ranges of places that cover all heaps, each of at most ``most_pages`` in total.

    Each comes with the share of all pages that is done after it, from 0 to 1.
    """
    page, total = 0, sum(heaps)
    while reaching := [pages for pages in heaps if pages > page]:
        end = page + max(1, most_pages // len(reaching))
        done = sum(min(pages, end) for pages in heaps)
        yield page * PAGE, end * PAGE, done / total
        page = end


def places(
    connection: Connection, table: str, condition: str, parameters: Mapping[str, Any]
) -> list[int]:
    """The places of the rows that meet ``condition``, in physical order."""
    statement = _PLACES.format(table=table, condition=condition)
    [row] = connection.execute(statement, parameters)
    return list(row["places"])


def ids(connection: Connection, table: str, id_column: str, place: int) -> list[UUID]:
    """The ids of the rows at one place, at most one per heap."""
    statement = _IDS.format(table=table, id=id_column)
    return [row["id"] for row in connection.execute(statement, {"place": tid(place)})]


def tid(place: int) -> str:
    """A place as PostgreSQL writes a ctid."""
    page, position = divmod(place, PAGE)
    return f"({page},{position})"
