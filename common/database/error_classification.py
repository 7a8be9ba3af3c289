"""The cause of a PostgreSQL error: connection, server, another session or one row."""

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg

from common.database.advice import advised, cut
from common.logging.redaction import redact

# A reason must fit into a table cell and a log line.
REASON_CHARACTERS = 500

# Lock not available, deadlock detected, serialization failure.
_CONTENTION = ("55P03", "40P01", "40001")

# 57P01-57P05: shutting down, crashed, starting up, dropped, idle for too long. 25P03, 25P04: a
# transaction that was idle or open for too long. 25006: the primary was demoted.
_LOST = ("08", "57P", "25P03", "25P04", "25006")

# Disk full, out of memory, too many connections; I/O errors; broken configuration files.
_SERVER = ("53", "58", "F0")


def connection_lost(error: BaseException) -> bool:
    """True if the connection is lost; False if the server rejected the statement."""
    if isinstance(error, psycopg.InterfaceError):
        return True
    if not isinstance(error, psycopg.OperationalError | psycopg.errors.ReadOnlySqlTransaction):
        return False
    if _is_raised(error):
        return False
    return error.sqlstate is None or error.sqlstate.startswith(_LOST)


def server_fault(error: BaseException) -> bool:
    """True if the connection or the server caused the error, so no row can be to blame.

    For other errors the SQLSTATE does not decide, because a trigger may raise any: a row is to
    blame if the same statement succeeds without it.
    """
    if not isinstance(error, psycopg.Error) or _is_raised(error):
        return False
    return connection_lost(error) or (error.sqlstate or "").startswith(_SERVER)


def _is_raised(error: psycopg.Error) -> bool:
    """True for RAISE in PL/pgSQL, which may claim any SQLSTATE."""
    return error.diag.source_function == "exec_stmt_raise"


def contended(error: BaseException) -> bool:
    """True on contention with another session: lock timeout, deadlock, conflict."""
    return isinstance(error, psycopg.Error) and error.sqlstate in _CONTENTION


def reason(error: BaseException) -> str:
    """Type and message of an error on one line, with advice if there is any.

    Without secrets, cut to REASON_CHARACTERS.
    """
    text = " ".join(f"{type(error).__name__}: {error}".split())
    return cut(redact(advised(text, error)), REASON_CHARACTERS)


@contextmanager
def hiding(*secrets: str) -> Iterator[None]:
    """Redact these values in the text of a database error that the block raises.

    A trigger or a cast may quote any column of a row.
    """
    try:
        yield
    except psycopg.Error as error:
        error.args = (redact(str(error), *secrets),)
        raise
