"""PgBouncer itself, on loopback, before a PostgreSQL server of the tests."""

import os
import signal
from typing import Any, Literal

import psycopg
from psycopg.rows import DictRow, dict_row

from devservers.child_processes import FolderServer, ServerError, free_port
from devservers.needs import program
from devservers.postgres import PostgresServer

START_SECONDS = 30
STOP_SECONDS = 5

PoolMode = Literal["transaction", "session", "statement"]

# PgBouncer asks the server, as its owner, for passwords that are not in the file.
SETTINGS = """\
[databases]
* = host=127.0.0.1 port={server_port}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = scram-sha-256
auth_file = {users}
auth_user = {owner}
admin_users = {owner}
pool_mode = {pool_mode}
default_pool_size = {pool_size}
max_client_conn = 200
# Tests stop the server, and make a database each: do not wait long for either.
server_login_retry = 0.2
server_idle_timeout = 5
"""


class PgBouncer(FolderServer):
    """A pooler on `port`, for every database and role of a server, in a `with` block.

    ``ignore_startup_parameters`` None is PgBouncer's own default, which rejects a client that
    sends `options`. Raises Unavailable if it is not installed.
    """

    def __init__(
        self,
        server: PostgresServer,
        *,
        pool_mode: PoolMode = "transaction",
        default_pool_size: int = 4,
        ignore_startup_parameters: str | None = None,
    ) -> None:
        self._program = program("pgbouncer", of="PgBouncer", packages="pgbouncer")
        self._server = server
        self.port = free_port()
        super().__init__("pgbouncer")
        self._users = self._folder.path / "users"
        self._users.write_text(f'"{server.user}" "{server.password}"\n')
        self._settings = self._folder.path / "pgbouncer.ini"
        settings = SETTINGS.format(
            server_port=server.port,
            port=self.port,
            users=self._users,
            owner=server.user,
            pool_mode=pool_mode,
            pool_size=default_pool_size,
        )
        if ignore_startup_parameters is not None:
            settings += f"ignore_startup_parameters = {ignore_startup_parameters}\n"
        self._settings.write_text(settings)
        # Like the server it does not run as root, so it runs as the server's user.
        run_as = server.installation.run_as
        if run_as:
            for path in (self._folder.path, self._users, self._settings):
                os.chown(path, run_as["user"], run_as["group"])

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start on the same port as before, and wait until it answers."""
        self._process.start(
            [self._program, self._settings],
            cwd=self._folder.path,
            **self._server.installation.run_as,
        )
        if not self._process.wait_until(self._answers, START_SECONDS):
            raise ServerError(f"PgBouncer did not start:\n{self._process.log_end}")

    def stop(self) -> None:
        """Stop it in order. Its clients lose their connections."""
        self._process.stop(signal.SIGTERM, STOP_SECONDS)

    def admin(self, command: str) -> list[DictRow]:
        """The rows of a command of its console, such as SHOW POOLS or PAUSE."""
        keywords: dict[str, Any] = {**self._server.connection("pgbouncer"), "port": self.port}
        with psycopg.connect(**keywords, autocommit=True, row_factory=dict_row) as console:
            cursor = console.execute(command.encode())
            return cursor.fetchall() if cursor.description else []

    def _answers(self) -> bool:
        try:
            self.admin("SHOW VERSION")
        except psycopg.OperationalError:
            return False
        return True
