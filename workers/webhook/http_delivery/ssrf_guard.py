"""The addresses that a destination may be reached at, each one checked.

A name is looked up once per attempt, and the connection goes to the very addresses that were
checked here: a name that leads elsewhere a moment later changes nothing.
"""

import ipaddress
import queue
import socket
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from common.config.kinds import Network
from workers.webhook.http_delivery.private_networks import Address, refusal
from workers.webhook.http_delivery.target_url import TargetUrl, TargetUrlRefused


class NameUnknown(Exception):
    """A host name has no address, or none was found in time."""


def system_resolver(host: str) -> list[str]:
    """All addresses of a name, as the system finds them; raises OSError where there is none."""
    found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    return [str(address[0]) for *_, address in found]


@dataclass(frozen=True, slots=True)
class SsrfGuard:
    """Lets through public addresses, and the networks that the operator has opened."""

    allowed: tuple[Network, ...] = ()
    resolve: Callable[[str], Iterable[str]] = system_resolver

    def addresses(self, destination: TargetUrl, seconds: float) -> list[Address]:
        """Every address of the destination, each once, all of them allowed.

        Raises TargetUrlRefused where a single one is not, and NameUnknown where a name has
        none or ``seconds`` were not enough to find out.
        """
        host = destination.host
        try:
            literal = ipaddress.ip_address(host)
        except ValueError:
            return self._looked_up(host, seconds)
        if reason := refusal(literal, self.allowed):
            raise TargetUrlRefused(f"the address {literal} is {reason}")
        return [literal]

    def _looked_up(self, host: str, seconds: float) -> list[Address]:
        texts = _in_time(self.resolve, host, seconds)
        addresses = [ipaddress.ip_address(text) for text in dict.fromkeys(texts)]
        if not addresses:
            raise NameUnknown("the host name has no address")
        for address in addresses:
            if reason := refusal(address, self.allowed):
                raise TargetUrlRefused(f"the host name leads to {address}, which is {reason}")
        return addresses


def _in_time(resolve: Callable[[str], Iterable[str]], host: str, seconds: float) -> list[str]:
    """Call ``resolve`` on a thread of its own: the system's resolver takes no deadline."""
    answers: queue.SimpleQueue[list[str] | None] = queue.SimpleQueue()

    def ask() -> None:
        try:
            answers.put(list(resolve(host)))
        except (OSError, UnicodeError):
            answers.put(None)

    threading.Thread(target=ask, name="webhook-resolve", daemon=True).start()
    try:
        answer = answers.get(timeout=max(0.0, seconds))
    except queue.Empty:
        raise NameUnknown("the host name was not resolved in time") from None
    if answer is None:
        raise NameUnknown("the host name could not be resolved")
    return answer
