"""The IP addresses of a destination, each one checked.

A name is resolved once per attempt, and the connection uses exactly the addresses that were
checked here, so DNS rebinding has no effect.
"""

import ipaddress
import socket
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from common.config import Network
from common.errors import LimitReached, limit_reached
from common.remote.thread_pool import ThreadPool
from workers.webhook.http_delivery.private_networks import Address, refusal
from workers.webhook.http_delivery.target_url import TargetUrl, TargetUrlRefused

# Of all passes together. A look-up may go on for a minute after its delivery was given up: without
# this limit, a name server that does not answer would fill the process with threads.
MOST_LOOK_UPS = 200
_look_ups = threading.BoundedSemaphore(MOST_LOOK_UPS)


class NameUnknown(Exception):
    """A host name has no address, or it was not resolved in time."""


def system_resolver(host: str) -> list[str]:
    """All addresses of a name from the system's resolver; raises OSError if there is none."""
    found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    return [str(address[0]) for *_, address in found]


@dataclass(frozen=True, slots=True)
class SsrfGuard:
    """Allows public addresses, and the networks that the operator has allowed."""

    allowed: tuple[Network, ...] = ()
    resolve: Callable[[str], Iterable[str]] = system_resolver

    def addresses(self, destination: TargetUrl, seconds: float) -> list[Address]:
        """Every address of the destination, each once, all of them allowed.

        Raises TargetUrlRefused if one is not allowed, and NameUnknown if a name has no address or
        is not resolved within ``seconds``; LimitReached if this process may look up no more.
        """
        host = destination.host
        try:
            literal = ipaddress.ip_address(host)
        except ValueError:
            return self._resolved(host, seconds)
        if reason := refusal(literal, self.allowed):
            raise TargetUrlRefused(f"the address {literal} is {reason}")
        return [literal]

    def _resolved(self, host: str, seconds: float) -> list[Address]:
        texts = _resolve_in_time(self.resolve, host, seconds)
        addresses = [ipaddress.ip_address(text) for text in dict.fromkeys(texts)]
        if not addresses:
            raise NameUnknown("the host name has no address")
        for address in addresses:
            if reason := refusal(address, self.allowed):
                raise TargetUrlRefused(f"the host name leads to {address}, which is {reason}")
        return addresses


def _resolve_in_time(
    resolve: Callable[[str], Iterable[str]], host: str, seconds: float
) -> list[str]:
    """Call ``resolve`` on its own thread: the system's resolver has no deadline."""
    if not _look_ups.acquire(blocking=False):
        raise LimitReached(f"{MOST_LOOK_UPS} look-ups of names have no end: see the name server")

    def look_up(host: str) -> list[str]:
        try:
            return list(resolve(host))
        finally:
            _look_ups.release()

    unknown = (OSError, UnicodeError)
    pool = ThreadPool[str, list[str]](look_up, 1, "webhook-resolve", expected=unknown)
    with pool:
        try:
            pool.submit(host)
        except LimitReached:
            _look_ups.release()
            raise
        for _, found in pool.finished(seconds):
            if isinstance(found, unknown):
                raise limit_reached(found) or NameUnknown("the host name could not be resolved")
            if isinstance(found, Exception):
                raise found
            return found
    raise NameUnknown("the host name was not resolved in time")
