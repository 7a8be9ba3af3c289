"""Locks that another session holds."""

from collections.abc import Iterator
from contextlib import contextmanager
from uuid import UUID

from testing.database import TestDatabase


@contextmanager
def locked_by_another_session(database: TestDatabase, table: str, row: UUID) -> Iterator[None]:
    """Hold a lock on the row of this id until the block ends."""
    with database.connect() as connection, connection.transaction():
        connection.execute(f"SELECT FROM {table} WHERE id = %s FOR UPDATE".encode(), [row])
        yield
