"""PgBouncer itself, on loopback, in front of a PostgreSQL server of the tests."""

from __future__ import annotations

import os
import signal
import subprocess
from typing import Any, Literal, Self

import psycopg
from psycopg.rows import DictRow, dict_row

from devservers.child_processes import (
    ServerError,
    TemporaryFolder,
    bound_to_parent,
    end,
    free_port,
    poll_until,
)
from devservers.needs import program
from devservers.postgres import PostgresServer

START_SECONDS = 30
STOP_SECONDS = 5

PoolMode = Literal["transaction", "session", "statement"]

# The password of a role that is not in the file is asked for, as the server's owner.
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
# Tests stop the server, and make a database each: wait for neither for long.
server_login_retry = 0.2
server_idle_timeout = 5
"""


class PgBouncer:
    """A pooler on `port`, before every database and role of a server, in a `with` block.

    ``ignore_startup_parameters`` None is PgBouncer's own default, by which it refuses a client
    that sends `options`. Raises Unavailable where it is not installed.
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
        self._process: subprocess.Popen[bytes] | None = None
        self._folder = TemporaryFolder("pgbouncer")
        self._log = self._folder.path / "pgbouncer.log"
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
        # It refuses to run as root, like the server, so it runs as the server's user.
        run_as = server.installation.run_as
        if run_as:
            for path in (self._folder.path, self._users, self._settings):
                os.chown(path, run_as["user"], run_as["group"])

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.kill()
        self._folder.remove()

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start on the same port as before, and wait until it answers."""
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [self._program, self._settings],
                cwd=self._folder.path,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                preexec_fn=bound_to_parent(signal.SIGKILL),
                **self._server.installation.run_as,
            )
        if not poll_until(lambda: self._answers() or self._has_ended(), START_SECONDS):
            self.kill()
        if self._has_ended():
            raise ServerError(f"PgBouncer did not start:\n{self._log_end()}")

    def stop(self) -> None:
        """End it by its signal. Its clients lose their connections."""
        if self._process is not None:
            end(self._process, signal.SIGTERM, STOP_SECONDS)
            self._process = None

    def kill(self) -> None:
        """End it at once."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def admin(self, command: str) -> list[DictRow]:
        """What its console answers, as to SHOW POOLS or PAUSE."""
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

    def _has_ended(self) -> bool:
        return self._process is None or self._process.poll() is not None

    def _log_end(self) -> str:
        return self._log.read_text(errors="replace")[-2000:]
