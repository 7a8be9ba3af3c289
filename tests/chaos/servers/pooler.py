"""The kills once more, behind PgBouncer, beside a client that shares its pool of sessions.

What a worker sets in a session of the server, or leaves behind there, meets that client.
"""

import dataclasses
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from random import Random
from typing import Any

import psycopg
from psycopg.rows import DictRow, dict_row

from devservers.child_processes import poll_until
from devservers.pgbouncer import PgBouncer
from testing.arena import Arena
from testing.database import TestDatabase
from tests.chaos.campaign import Campaign, Figures, Limit, Round, never
from tests.chaos.processes import kills
from tests.support.background import in_background

POOL_SIZE = 4
CLIENTS = 3
# PgBouncer leaves the name of the client before to one that has none.
NAME = "neighbour"
# PgBouncer sees that a client was killed at once, and the server that PgBouncer has gone soon.
SETTLE_SECONDS = 5.0

_SESSION = """
SELECT jsonb_object_agg(name, setting) AS settings,
       (SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid())
           AS advisory_locks,
       (SELECT count(*) FROM pg_class WHERE relnamespace = pg_my_temp_schema()) AS temporary_tables,
       (SELECT count(*) FROM pg_prepared_statements) AS prepared_statements,
       (SELECT count(*) FROM pg_listening_channels()) AS channels
FROM pg_settings"""

_LOCKS = "SELECT FROM pg_locks WHERE locktype = 'advisory'"
_IDLE_WITH_LOCKS = """
SELECT pid, state_change FROM pg_locks JOIN pg_stat_activity USING (pid)
WHERE locktype = 'advisory' AND state = 'idle' AND datname = current_database()"""

_TABLE = "CREATE TABLE neighbour_writes (client integer, number integer, seen boolean)"
_WRITE = "INSERT INTO neighbour_writes VALUES (%s, %s, false)"
_CHANGE = "UPDATE neighbour_writes SET seen = true WHERE client = %s AND number = %s"
_ONCE = """
SELECT count(*) FILTER (WHERE seen) AS rows, count(DISTINCT (client, number)) AS numbers
FROM neighbour_writes"""


def play(arena: Arena, current: Round) -> Figures:
    """One killing behind the pooler; then what is left in the sessions of its pool."""
    pooler = arena.once(
        "pooler", lambda: arena.enter(PgBouncer(arena.postgres, default_pool_size=POOL_SIZE))
    )
    killing = kills.any_killing(current.dice)
    with arena.database() as database:
        database.query(_TABLE)
        neighbours = Neighbours(database, pooler.port)
        pooled = dataclasses.replace(database, port=pooler.port)
        with neighbours.at_work(current.dice):
            figures = kills.play_one(arena, current.dice, killing, pooled, {})
        return {**figures, **neighbours.figures(), "left behind": neighbours.left_behind()}


class Neighbours:
    """Clients of the same pool, who look every time at the session that they have been given."""

    def __init__(self, database: TestDatabase, port: int) -> None:
        self._database = database
        self._port = port
        self._lock = threading.Lock()
        self._done = threading.Event()
        self._writes = self._failed = self._odd = self._idle_locks = 0
        named = {"options": "", "application_name": NAME}
        with database.connect(**named) as connection, connection.transaction():
            # The triggers that watch the workers load it, and it has settings of its own.
            connection.execute("LOAD 'plpgsql'")
            self._expected = _strange(connection, {})

    @contextmanager
    def at_work(self, dice: Random) -> Iterator[None]:
        """Write through the pooler all the time."""
        clients = [partial(self._work, n, Random(dice.random())) for n in range(CLIENTS)]
        with in_background(self._done, *clients, self._watch):
            yield

    def figures(self) -> Figures:
        """What they have met; every write that was confirmed has to be there once."""
        found = self._database.one(_ONCE)
        return {
            "writes beside": self._writes,
            "writes failed": self._failed,
            "writes lost or twice": abs(found["rows"] - self._writes)
            + abs(found["numbers"] - self._writes),
            "strange sessions": self._odd,
            "idle with locks": self._idle_locks,
        }

    def left_behind(self) -> int:
        """What is strange in all sessions of the pool together, each of which is looked at."""
        poll_until(lambda: not self._database.query(_LOCKS), SETTLE_SECONDS, 0.1)
        left = len(self._database.query(_LOCKS))
        with ExitStack() as stack:
            for _ in range(POOL_SIZE):
                connection = stack.enter_context(self._connect())
                stack.enter_context(connection.transaction())
                left += len(_strange(connection, self._expected))
        return left

    def _connect(self) -> psycopg.Connection[DictRow]:
        keywords: dict[str, Any] = {
            **self._database.server.connection(self._database.name),
            "port": self._port,
            "application_name": NAME,
        }
        return psycopg.connect(
            **keywords, autocommit=True, row_factory=dict_row, prepare_threshold=None
        )

    def _work(self, client: int, pauses: Random) -> None:
        number = 0
        while not self._done.is_set():
            try:
                with self._connect() as connection:
                    while not self._done.is_set():
                        number += 1
                        self._write(connection, client, number)
                        self._done.wait(pauses.uniform(0, 0.05))
            except psycopg.Error:
                with self._lock:
                    self._failed += 1

    def _write(self, connection: psycopg.Connection[DictRow], client: int, number: int) -> None:
        with connection.transaction():
            strange = _strange(connection, self._expected)
            connection.execute(_WRITE, (client, number))
        connection.execute(_CHANGE, (client, number))
        with self._lock:
            self._odd += bool(strange)
            self._writes += 1

    def _watch(self) -> None:
        """Count sessions that no client uses and that hold a lock at two looks in a row."""
        before: set[tuple[object, ...]] = set()
        with self._database.connect() as connection:
            while not self._done.wait(0.05):
                found = {tuple(row.values()) for row in connection.execute(_IDLE_WITH_LOCKS)}
                self._idle_locks += len(found & before)
                before = found


def _strange(
    connection: psycopg.Connection[DictRow], expected: dict[str, object]
) -> dict[str, object]:
    """What is not as expected in the session that an open transaction has."""
    [row] = connection.execute(_SESSION)
    found = {**row.pop("settings"), **row}
    return {name: value for name, value in found.items() if expected.get(name) != value}


CAMPAIGN = Campaign(
    name="pooler",
    promise="behind PgBouncer a kill loses nothing, and other clients notice nothing",
    faults=f"transaction mode, {POOL_SIZE} sessions for 2 workers and {CLIENTS} other clients; one "
    f"scheduler and place, or {kills.KILLS_A_RANDOM_ROUND} kills at random",
    limits=(
        Limit("kills", least=1),
        Limit("writes beside", least=100),
        *never(
            "writes failed",
            "writes lost or twice",
            "strange sessions",
            "idle with locks",
            "left behind",
        ),
        *kills.LIMITS,
    ),
    play=play,
    rounds=100,
    small_rounds=2,
)
