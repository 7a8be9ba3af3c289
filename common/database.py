"""PostgreSQL connections: UTC, autocommit, and a deadline on every wait.

A connection lives as long as one pass or one publishing round; between passes none is held.
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
from common.redact import redact

Connection = psycopg.Connection[DictRow]

CONNECT_SECONDS = 5
STATEMENT_SECONDS = 120

_SESSION = " ".join(
    f"-c {name}={value}"
    for name, value in {
        # A Go zero time (0001-01-01 UTC) cannot be read in a zone west of Greenwich.
        "timezone": "UTC",
        "statement_timeout": f"{STATEMENT_SECONDS}s",
        "lock_timeout": "5s",
        "idle_in_transaction_session_timeout": "60s",
    }.items()
)

# statement_timeout is the server's. These notice a network that was cut: an idle peer within
# 10 + 3 x 5 s, unacknowledged data within 20 s.
_NETWORK = {
    "connect_timeout": CONNECT_SECONDS,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 20_000,
}

_TRY_LOCK = "SELECT pg_try_advisory_lock(hashtextextended(%s, 0)) AS locked"

# Classes of SQLSTATE that a single row can cause: bad value, broken constraint, a view's check,
# a limit exceeded, RAISE in a trigger. Any other error would meet every row alike.
_ROW_FAULTS = ("22", "23", "44", "54", "P0")

# Lock not available, deadlock detected, serialization failure.
_CONTENTION = ("55P03", "40P01", "40001")

# 57P01-57P03: shutting down, crashed, starting up. 25006: the primary was demoted under us.
_LOST = ("08", "57P01", "57P02", "57P03", "25006")


class _Discreet(psycopg.Connection[DictRow]):
    """A connection whose errors say the server's message and nothing else.

    Its details may hold the whole row that is to blame, with all secrets in it.
    """

    def wait(self, *arguments: Any, **keywords: Any) -> Any:
        try:
            return super().wait(*arguments, **keywords)
        except psycopg.Error as error:
            if error.diag.message_primary:
                error.args = (error.diag.message_primary,)
            raise


class Database:
    """Opens connections to one service's database; safe to share between threads."""

    def __init__(self, settings: Settings) -> None:
        self._parameters: dict[str, Any] = {
            "host": settings[config.DB_HOST],
            "port": settings[config.DB_PORT],
            "user": settings[config.DB_USER],
            "password": settings[config.DB_PASSWORD] or None,
            "dbname": settings[config.DB_NAME],
            "sslmode": settings[config.DB_SSL_MODE],
            "application_name": f"toast-{settings.service}",
            # Where several hosts are named, take the one that accepts writes.
            "target_session_attrs": "read-write",
            "options": _SESSION,
            **_NETWORK,
        }

    @property
    def name(self) -> str:
        """Which database it is, for a person: host:port/name."""
        return "{host}:{port}/{dbname}".format(**self._parameters)

    def connect(self) -> Connection:
        """Return a new connection in autocommit mode; its rows are dicts.

        Raises psycopg.OperationalError after CONNECT_SECONDS per address.
        """
        return _Discreet.connect(
            **self._parameters,
            autocommit=True,
            row_factory=dict_row,
            # Only where it is asked for: a prepared statement may be planned without its
            # parameters, and a range of ctids is cheap or dear by their values alone.
            prepare_threshold=2**31,
        )

    @contextmanager
    def connect_for(self, seconds: float) -> Iterator[Connection]:
        """A connection for the block, which is severed after so many seconds.

        For those whom nobody watches over, as a worker does over its passes. Raises
        psycopg.OperationalError then, too.
        """
        with self.connect() as connection:
            end = threading.Timer(seconds, sever, (connection,))
            end.daemon = True
            ends_at = time.monotonic() + seconds
            end.start()
            try:
                yield connection
            except psycopg.OperationalError as error:
                if connection_lost(error) and time.monotonic() >= ends_at:
                    raise psycopg.OperationalError(f"no answer within {seconds:g} s") from error
                raise
            finally:
                end.cancel()


@contextmanager
def hiding(*secrets: str) -> Iterator[None]:
    """Take these values out of what an error of the database says that the block raises.

    A trigger or a cast may quote any column of a row.
    """
    try:
        yield
    except psycopg.Error as error:
        error.args = (redact(str(error), *secrets),)
        raise


def connection_lost(error: BaseException) -> bool:
    """Whether this error says that the server went away, rather than that it said no."""
    if isinstance(error, psycopg.InterfaceError):
        return True
    if not isinstance(error, psycopg.OperationalError | psycopg.errors.ReadOnlySqlTransaction):
        return False
    return error.sqlstate is None or error.sqlstate.startswith(_LOST)


def row_fault(error: psycopg.Error) -> bool:
    """Whether one row is to blame for this error, so that the others may well succeed."""
    return (error.sqlstate or "").startswith(_ROW_FAULTS)


def contended(error: psycopg.Error) -> bool:
    """Whether somebody else was in the way: a lock held too long, a deadlock, a conflict."""
    return error.sqlstate in _CONTENTION


def try_lock(connection: Connection, name: str) -> bool:
    """Take the advisory lock of this name unless another session has it; does not wait.

    It is held until it is unlocked or the connection ends.
    """
    row = connection.execute(_TRY_LOCK, (name,)).fetchone()
    return bool(row and row["locked"])


def sever(connection: Connection) -> None:
    """Break a connection that another thread is blocked on, so that its call raises at once.

    psycopg has no deadline of its own for a server that has stopped answering, and its cancel
    request needs that same server. The server finishes or rolls back what was open, whole in any
    case.
    """
    if connection.closed:
        return
    try:
        with socket.socket(fileno=os.dup(connection.fileno())) as transport:
            transport.shutdown(socket.SHUT_RDWR)
    except (OSError, psycopg.Error):
        return  # closed between the check and here: just what was wanted
