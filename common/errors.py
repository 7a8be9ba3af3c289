"""Errors that a pass raises for the operator."""

import errno
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager


class PassError(Exception):
    """A pass cannot do its work; the message tells the operator why."""


class RemoteAway(PassError):
    """A server other than PostgreSQL does not answer; a later pass may succeed."""


class LimitReached(PassError):
    """This process may open no more files or threads: no row and no other server is to blame."""


def limit_reached(error: BaseException) -> LimitReached | None:
    """The limit of this process that has caused the error; None if none has."""
    if isinstance(error, socket.gaierror):
        error = _hidden(error)
    if isinstance(error, OSError) and error.errno in (errno.EMFILE, errno.ENFILE):
        return LimitReached(f"{os.strerror(error.errno)}: raise LimitNOFILE= of the unit")
    if isinstance(error, RuntimeError) and "new thread" in str(error):
        return LimitReached(f"{error}: raise TasksMax= of the unit")
    return None


@contextmanager
def naming_limits() -> Iterator[None]:
    """Raises LimitReached in place of an error of the block that a limit has caused."""
    try:
        yield
    except Exception as error:
        if limit := limit_reached(error):
            raise limit from error
        raise


def _hidden(error: OSError) -> OSError:
    """What a look-up of a name that can open no file reports as an unknown name."""
    try:
        os.close(os.open("/", os.O_RDONLY))
    except OSError as hidden:
        return hidden
    return error
