"""How long the transactions of a process take, as pg_stat_activity shows them."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from testing.database import TestDatabase

_LONGEST = """
SELECT coalesce(max(extract(epoch FROM clock_timestamp() - xact_start)), 0)::float AS seconds
FROM pg_stat_activity
WHERE application_name = %s AND state <> 'idle'"""


@dataclass(slots=True)
class Longest:
    """The longest transaction so far."""

    seconds: float = 0.0


@contextmanager
def watched(database: TestDatabase, application: str, *, every: float = 0.02) -> Iterator[Longest]:
    """Sample the transactions of an application every ``every`` seconds during the block."""
    longest, done = Longest(), threading.Event()

    def watch() -> None:
        with database.connect() as connection:
            while not done.wait(every):
                [row] = connection.execute(_LONGEST, (application,)).fetchall()
                longest.seconds = max(longest.seconds, row["seconds"])

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield longest
    finally:
        done.set()
        thread.join()
