"""Where a row lies in its table: its ctid as one whole number, page * 2**16 + place on the page."""

from common.database import Connection

PAGE = 1 << 16
WHOLE_TABLE = (0, 0xFFFFFFFF * PAGE)

_PAGES = (
    "SELECT pg_relation_size(%(table)s::regclass) / current_setting('block_size')::int AS pages"
)

_PLACES = """
SELECT ctid::text AS place FROM {table}
WHERE ctid >= %(first)s::tid AND ctid < %(end)s::tid ORDER BY ctid"""


def pages(connection: Connection, table: str) -> int:
    """How many pages a table has."""
    counted = connection.execute(_PAGES, {"table": table}).fetchone()
    return counted["pages"] if counted else 0


def places(connection: Connection, table: str, first: int, end: int) -> list[int]:
    """Where there are rows in [first, end), due or not, in physical order."""
    values = {"first": tid(first), "end": tid(end)}
    return [_place(row["place"]) for row in connection.execute(_PLACES.format(table=table), values)]


def tid(place: int) -> str:
    """A place as PostgreSQL writes a ctid."""
    page, position = divmod(place, PAGE)
    return f"({page},{position})"


def _place(tid: str) -> int:
    page, position = tid.strip("()").split(",")
    return int(page) * PAGE + int(position)
