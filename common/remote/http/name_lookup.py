"""The IP addresses of a host name, looked up within a time."""

import ipaddress
import socket
import threading
from collections.abc import Callable, Iterable

from common.errors import LimitReached, limit_reached
from common.remote.thread_pool import ThreadPool

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Resolve = Callable[[str], Iterable[str]]

# Of this process. A look-up may go on for a minute after it was given up: without this limit, a
# name server that does not answer would fill the process with threads.
MOST_LOOK_UPS = 200
_look_ups = threading.BoundedSemaphore(MOST_LOOK_UPS)


class NameUnknown(Exception):
    """A host name has no address, or it was not resolved in time."""


def system_resolver(host: str) -> list[str]:
    """All addresses of a name from the system's resolver; raises OSError if there is none."""
    found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    return [str(address[0]) for *_, address in found]


def literal(host: str) -> Address | None:
    """The address that ``host`` is, without brackets; None for a name."""
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


def addresses(host: str, seconds: float, resolve: Resolve = system_resolver) -> list[Address]:
    """Every address of a name, or of an address itself, each once.

    Raises NameUnknown if a name has none or is not resolved within ``seconds``; LimitReached if
    this process may look up no more.
    """
    if address := literal(host):
        return [address]
    found = [ipaddress.ip_address(text) for text in dict.fromkeys(_in_time(resolve, host, seconds))]
    if not found:
        raise NameUnknown("the host name has no address")
    return found


def _in_time(resolve: Resolve, host: str, seconds: float) -> list[str]:
    """Call ``resolve`` on its own thread: the system's resolver has no deadline."""
    unknown = (OSError, UnicodeError)

    def look_up(host: str) -> list[str]:
        # Counted on this thread: one that is started too late to look anything up counts nothing.
        if not _look_ups.acquire(blocking=False):
            raise LimitReached(
                f"{MOST_LOOK_UPS} look-ups of names have no end: see the name server"
            )
        try:
            return list(resolve(host))
        finally:
            _look_ups.release()

    with ThreadPool[str, list[str]](look_up, 1, "name-look-up", expected=unknown) as pool:
        pool.submit(host)
        for _, found in pool.finished(seconds):
            if isinstance(found, unknown):
                raise limit_reached(found) or NameUnknown("the host name could not be resolved")
            if isinstance(found, Exception):
                raise found
            return found
    raise NameUnknown("the host name was not resolved in time")
