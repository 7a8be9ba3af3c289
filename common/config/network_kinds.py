"""Kinds of settings that name servers and networks. Use them through `common.config`."""

import ipaddress
import re

from common.config.kinds import Variable, items

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

_ADDRESS = re.compile(r"(?:(?P<name>[A-Za-z0-9._-]+)|\[(?P<ipv6>[^\]]+)\]):(?P<port>[0-9]{1,5})")


def addresses(name: str, default: str | None, help: str) -> Variable[tuple[str, ...]]:
    """A comma-separated list of host:port, IPv6 in brackets."""

    def parse(text: str) -> tuple[str, ...]:
        return items(text, _address)

    expected = "a comma-separated list of host:port, such as kafka-1:9092,[::1]:9092"
    return Variable(name, parse, expected, default, help)


def networks(name: str, default: str | None, help: str) -> Variable[tuple[Network, ...]]:
    """A comma-separated list of IP networks or addresses."""

    def parse(text: str) -> tuple[Network, ...]:
        return items(text, _network) if text else ()

    expected = "a comma-separated list of networks, such as 10.1.0.0/16,fd12:3456::/32"
    return Variable(name, parse, expected, default, help)


def address(name: str, default: str | None, help: str) -> Variable[str]:
    """One host:port, IPv6 in brackets."""
    expected = "host:port, such as server.example.org:9094 or [::1]:9094"
    return Variable(name, _address, expected, default, help)


def _address(item: str) -> str:
    if not item:
        raise ValueError("an item is empty")
    match = _ADDRESS.fullmatch(item)
    if not match:
        raise ValueError("not host:port")
    if not 1 <= int(match["port"]) <= 65535:
        raise ValueError("a port is not from 1 to 65535")
    if match["ipv6"]:
        ipaddress.IPv6Address(match["ipv6"])
    return item


def _network(item: str) -> Network:
    if not item:
        raise ValueError("an item is empty")
    if "%" in item:
        raise ValueError("an item names a network interface")
    try:
        return ipaddress.ip_network(item)
    except ValueError:
        raise ValueError("an item is no network, or has bits set beyond its prefix") from None
