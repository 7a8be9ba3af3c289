"""A way to a cluster in memory, whose metadata advertise another port than a broker has."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping

from devservers.tcp_proxy import TcpProxy


@contextlib.contextmanager
def advertised(brokers: str, ports: Mapping[str, int]) -> Iterator[str]:
    """The host:port of the way, which leads to the first of the brokers.

    ``ports`` has the port that is advertised instead, by the address of the broker.
    """
    addresses = brokers.split(",")
    with contextlib.ExitStack() as stack:
        # One for each: a broker that a client reaches by itself would tell it the truth.
        ways = {each: stack.enter_context(TcpProxy(_port(each))) for each in addresses}
        advertised_ports = {each: ports.get(each, way.port) for each, way in ways.items()}
        for way in ways.values():
            way.replaced = {
                _place(_port(each)): _place(port) for each, port in advertised_ports.items()
            }
        yield f"127.0.0.1:{ways[addresses[0]].port}"


def _port(address: str) -> int:
    return int(address.rpartition(":")[2])


def _place(port: int) -> bytes:
    """Host and port, as metadata have them."""
    return b"127.0.0.1" + port.to_bytes(4, "big")
