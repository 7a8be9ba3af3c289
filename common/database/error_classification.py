"""What an error of PostgreSQL is about: the connection, the server, another session or one row."""

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg

from common.database.advice import advised, cut
from common.logging.redaction import redact

# A reason is for a table cell and a log line, not for a stack trace.
REASON_CHARACTERS = 500

# Lock not available, deadlock detected, serialization failure.
_CONTENTION = ("55P03", "40P01", "40001")

# 57P01-57P05: shutting down, crashed, starting up, dropped, idle for too long. 25P03, 25P04: a
# transaction that was idle or open for too long. 25006: the primary was demoted under us.
_LOST = ("08", "57P", "25P03", "25P04", "25006")

# Disk full, out of memory, too many connections; I/O errors; broken configuration files.
_SERVER = ("53", "58", "F0")


def connection_lost(error: BaseException) -> bool:
    """Whether the connection is of no more use, rather than that the server refused something."""
    if isinstance(error, psycopg.InterfaceError):
        return True
    if not isinstance(error, psycopg.OperationalError | psycopg.errors.ReadOnlySqlTransaction):
        return False
    if _is_raised(error):
        return False
    return error.sqlstate is None or error.sqlstate.startswith(_LOST)


def server_fault(error: BaseException) -> bool:
    """Whether no row can be to blame, because the connection or the server is in trouble.

    Whether a row is to blame for any other error is found out by trial: the same statement
    succeeds without that row. Its SQLSTATE does not tell, for a trigger raises what it likes.
    """
    if not isinstance(error, psycopg.Error) or _is_raised(error):
        return False
    return connection_lost(error) or (error.sqlstate or "").startswith(_SERVER)


def _is_raised(error: psycopg.Error) -> bool:
    """Whether it is a trigger's RAISE of PL/pgSQL, which may claim any SQLSTATE."""
    return error.diag.source_function == "exec_stmt_raise"


def contended(error: BaseException) -> bool:
    """Whether another session was in the way: a lock held too long, a deadlock, a conflict."""
    return isinstance(error, psycopg.Error) and error.sqlstate in _CONTENTION


def reason(error: BaseException) -> str:
    """Type and message of any error on one line, and what to do, where that is known.

    Without secrets, and cut to REASON_CHARACTERS.
    """
    text = " ".join(f"{type(error).__name__}: {error}".split())
    return cut(redact(advised(text, error)), REASON_CHARACTERS)


@contextmanager
def hiding(*secrets: str) -> Iterator[None]:
    """Take these values out of the text of a database error that the block raises.

    A trigger or a cast may quote any column of a row.
    """
    try:
        yield
    except psycopg.Error as error:
        error.args = (redact(str(error), *secrets),)
        raise
