"""The file with the secret that signs logins: the server makes it, `toast web link` reads it.

A new start of the server makes a new one, which ends all sessions and links.
"""

import contextlib
import os
import secrets

from common.errors import PassError

_BYTES = 32


def make(path: str) -> bytes:
    """Write a new secret, which only this user and root can read. Raises OSError."""
    secret = secrets.token_bytes(_BYTES)
    unfinished = f"{path}.{os.getpid()}"
    # What a server with this process number has left could be open to others.
    with contextlib.suppress(FileNotFoundError):
        os.unlink(unfinished)
    descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(secret)
    os.replace(unfinished, path)
    return secret


def read(path: str) -> bytes:
    """The secret of the server that runs. Raises PassError."""
    try:
        with open(path, "rb") as file:
            secret = file.read(_BYTES + 1)
    except FileNotFoundError:
        raise PassError(f"the page does not run, or with another file than {path}") from None
    except OSError as error:
        raise PassError(f"this user may not read {path} ({error.strerror}); use sudo") from None
    if len(secret) != _BYTES:
        raise PassError(f"{path} is no file that the page has made")
    return secret


def remove(path: str) -> None:
    """Remove it, so that no link is signed that no server would take."""
    with contextlib.suppress(OSError):
        os.unlink(path)
