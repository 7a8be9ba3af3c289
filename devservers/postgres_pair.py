"""Two PostgreSQL servers: a primary and its synchronous standby, which can take over from it."""

import psycopg
from psycopg.rows import TupleRow

from devservers.child_processes import PATIENCE, Server, ServerError, poll_until
from devservers.postgres import PostgresServer

_SETTINGS = """
wal_level = replica
max_wal_senders = 10
"""

_IS_IN_STEP = "SELECT 1 FROM pg_stat_replication WHERE sync_state = 'sync'"


class PostgresPair(Server):
    """The servers ``primary`` and ``standby``; `promote` and `follow` exchange them.

    What the primary has confirmed is on the standby too, as long as there is one.
    """

    def __init__(self) -> None:
        self.primary, self.standby = (
            PostgresServer(durable=False, settings=_SETTINGS) for _ in range(2)
        )

    @property
    def settings(self) -> dict[str, str]:
        """The settings of a worker that knows both."""
        ports = sorted((self.primary.port, self.standby.port))
        return {"DB_HOST": "127.0.0.1,127.0.0.1", "DB_PORT": ",".join(map(str, ports))}

    def start(self) -> None:
        self.primary.start()
        self.follow()

    def stop(self) -> None:
        self.primary.stop()
        self.standby.stop()

    def remove(self) -> None:
        self.primary.remove()
        self.standby.remove()

    def promote(self) -> None:
        """Let the standby take over from a primary that was killed."""
        self.primary, self.standby = self.standby, self.primary
        self._execute("SELECT pg_promote()")

    def follow(self) -> None:
        """Make the other server the standby again, and return when it is in step."""
        self.standby.follow(self.primary)
        # Only now, or the copy would wait for a standby as soon as it is promoted.
        self._execute("ALTER SYSTEM SET synchronous_standby_names = '*'")
        self._execute("SELECT pg_reload_conf()")
        if not poll_until(lambda: bool(self._execute(_IS_IN_STEP)), PATIENCE):
            raise ServerError("the standby does not follow the primary")

    def _execute(self, statement: str) -> list[TupleRow]:
        with psycopg.connect(**self.primary.connection(), autocommit=True) as connection:
            cursor = connection.execute(statement.encode())
            return cursor.fetchall() if cursor.description is not None else []
