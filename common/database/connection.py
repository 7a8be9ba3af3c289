"""Opens PostgreSQL connections, with a deadline on every wait.

A connection lives for one pass or one publishing round; an idle worker holds none.
"""

import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
from psycopg.rows import DictRow, dict_row

from common import config
from common.config import Settings
from common.database import certificates
from common.database.error_classification import connection_lost
from common.database.session import Connection, Session
from common.errors import naming_limits

CONNECT_SECONDS = 5

# The server enforces statement_timeout. These detect a cut network: an idle peer within
# 10 + 3 x 5 s, unacknowledged data within 20 s.
_NETWORK = {
    "connect_timeout": CONNECT_SECONDS,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 20_000,
}

# PgBouncer's error for a parameter that it cannot pass on.
_REFUSED_SETTINGS = "unsupported startup parameter"


class Database:
    """Opens connections to one service's database; safe to share between threads."""

    def __init__(self, settings: Settings, *, application_name: str = "") -> None:
        """``application_name`` names the sessions in PostgreSQL; a worker's name if empty."""
        hosts, ports = settings[config.DB_HOST], settings[config.DB_PORT]
        each = ports * len(hosts) if len(ports) == 1 else ports
        self._servers = list(zip(hosts, each, strict=True))
        self._last = self._servers[0]
        self._parameters: dict[str, Any] = {
            "user": settings[config.DB_USER],
            "password": settings[config.DB_PASSWORD] or None,
            "dbname": settings[config.DB_NAME],
            "application_name": application_name or f"toast-{settings.service}",
            "target_session_attrs": settings[config.DB_TARGET_SESSION_ATTRS],
            **certificates.parameters(settings),
            **_NETWORK,
        }
        # True once a pooler has refused our settings: not tried again.
        self._settings_refused = False

    @property
    def name(self) -> str:
        """The database as host:port/name; several hosts are joined by commas."""
        servers = ",".join(f"{host}:{port}" for host, port in self._servers)
        return f"{servers}/{self._parameters['dbname']}"

    @naming_limits()
    def connect(self) -> Session:
        """Return a new connection in autocommit mode; its rows are dicts.

        Raises psycopg.OperationalError after CONNECT_SECONDS per address, LimitReached if this
        process may open no more files.
        """
        # They could redirect the password and change how rows are read.
        config.forget_libpq_variables()
        session = self._open()
        self._last = session.info.host, session.info.port
        return session

    def _open(self) -> Session:
        parameters = self._with_servers()
        is_refused = self._settings_refused
        try:
            return Session.open(parameters, settings_refused=is_refused)
        except psycopg.OperationalError as error:
            if is_refused or _REFUSED_SETTINGS not in str(error):
                raise certificates.explained(error, self._servers, parameters) from None
        self._settings_refused = True
        return self._open()

    def _with_servers(self) -> dict[str, Any]:
        """The parameters with every host, first the one that the last connection was to.

        After a failover a host that is away would cost each connection its timeout.
        """
        servers = sorted(self._servers, key=lambda server: server != self._last)
        return {
            **self._parameters,
            "host": ",".join(host for host, _ in servers),
            "port": ",".join(str(port) for _, port in servers),
        }

    def connect_plainly(self) -> psycopg.Connection[DictRow]:
        """A connection without our settings, to see what role, database and server set."""
        config.forget_libpq_variables()
        # A role may be read-only by default; workers are not.
        parameters = {**self._with_servers(), "target_session_attrs": "primary"}
        return psycopg.connect(**parameters, autocommit=True, row_factory=dict_row)

    @contextmanager
    def connect_for(self, seconds: float) -> Iterator[Session]:
        """A connection for the block, aborted after ``seconds``.

        For callers outside the worker, which has its own watchdog. Raises
        psycopg.OperationalError, also after ``seconds``.
        """
        with self.connect() as connection:
            end = threading.Timer(seconds, abort_connection, (connection,))
            end.daemon = True
            ends_at = time.monotonic() + seconds
            with naming_limits():
                end.start()
            try:
                yield connection
            except psycopg.OperationalError as error:
                if connection_lost(error) and time.monotonic() >= ends_at:
                    raise psycopg.OperationalError(f"no answer within {seconds:g} s") from error
                raise
            finally:
                end.cancel()


def abort_connection(connection: Connection) -> None:
    """Shut down a connection that another thread is blocked on, so that its call raises at once.

    psycopg has no deadline for a server that stopped responding, and its cancel request needs that
    server. The server commits or rolls back the open transaction as a whole.
    """
    if connection.closed:
        return
    try:
        with socket.socket(fileno=os.dup(connection.fileno())) as transport:
            transport.shutdown(socket.SHUT_RDWR)
    except (OSError, psycopg.Error):
        return  # closed in the meantime
