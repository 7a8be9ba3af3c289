"""The IP addresses of a destination, each one checked.

A name is resolved once per attempt, and the connection uses exactly the addresses that were
checked here, so DNS rebinding has no effect.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from common.config import Network
from common.remote.http import name_lookup
from common.remote.http.name_lookup import Address, Resolve, literal, system_resolver
from workers.webhook.http_delivery.private_networks import refusal
from workers.webhook.http_delivery.target_url import TargetUrlRefused


@dataclass(frozen=True, slots=True)
class SsrfGuard:
    """Allows public addresses, and the networks that the operator has allowed."""

    allowed: tuple[Network, ...] = ()
    resolve: Resolve = system_resolver

    def addresses(self, host: str, seconds: float) -> Sequence[Address]:
        """Every address of a host, each once, all of them allowed.

        Raises TargetUrlRefused if one is not allowed, and NameUnknown if a name has no address or
        is not resolved within ``seconds``; LimitReached if this process may look up no more.
        """
        self.check_literal(host)
        found = name_lookup.addresses(host, seconds, self.resolve)
        for address in found:
            if reason := refusal(address, self.allowed):
                raise TargetUrlRefused(f"the host name leads to {address}, which is {reason}")
        return found

    def check_literal(self, host: str) -> None:
        """Raise TargetUrlRefused if the host is an address, not a name, and is not allowed."""
        if (address := literal(host)) and (reason := refusal(address, self.allowed)):
            raise TargetUrlRefused(f"the address {address} is {reason}")
