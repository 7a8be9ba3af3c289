"""What may keep a row from being changed - a lock of another session, a trigger that raises - and
the row as it is set aside."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

from testing.database import TestDatabase


@contextmanager
def locked_by_another_session(database: TestDatabase, table: str, row: UUID) -> Iterator[None]:
    """Hold a lock on the row of this id until the block ends."""
    with database.connect() as connection, connection.transaction():
        connection.execute(f"SELECT FROM {table} WHERE id = %s FOR UPDATE".encode(), [row])
        yield


def refusal(
    change: str, when: str = "", *, message: str = "refused", sqlstate: str = "P0001"
) -> str:
    """SQL after which a change, such as UPDATE ON link_links, raises: for the rows of a condition,
    or else for every statement."""
    each = f"ROW WHEN ({when})" if when else "STATEMENT"
    return f"""
CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN RAISE EXCEPTION '{message}' USING ERRCODE = '{sqlstate}'; END $$;
CREATE TRIGGER refuse BEFORE {change} FOR EACH {each} EXECUTE FUNCTION refuse()"""


def add_failed_row(
    database: TestDatabase,
    scheduler: str = "link-expiration",
    reason: str = "no",
    row: UUID | None = None,
) -> UUID:
    """A row that this scheduler has just set aside, for an hour; returns its id."""
    now, row = datetime.now(UTC), row or uuid4()
    failed = {"scheduler": scheduler, "row_id": row, "reason": reason, "failures": 2}
    times = {"since": now, "failed_at": now, "retry_at": now + timedelta(hours=1)}
    database.insert("toast_failed_rows", **failed, **times)
    return row
