"""The settings of the HTTP endpoint of a worker: where it listens, and who may ask."""

import ipaddress
import re

from common.config.kinds import Variable, integer, items

_NAME = re.compile(r"[A-Za-z0-9._-]+")
# What the address of a Unix socket has room for, without the NUL at its end.
_MOST_PATH_BYTES = 107


def _bind(text: str) -> str:
    return socket_path(text) if text.startswith("/") else str(ipaddress.ip_address(text))


def socket_path(text: str) -> str:
    """The absolute path of a Unix socket. Raises ValueError."""
    if not text.startswith("/"):
        raise ValueError("not an absolute path")
    if len(text.encode()) > _MOST_PATH_BYTES or not text.isprintable():
        raise ValueError(f"a path of more than {_MOST_PATH_BYTES} bytes, or not printable")
    return text


def hosts(text: str) -> tuple[str, ...]:
    """Names and addresses as a Host header has them, without port. Raises ValueError."""
    return items(text, _host) if text else ()


def _host(item: str) -> str:
    if _NAME.fullmatch(item):
        return item.lower()
    try:
        return f"[{ipaddress.IPv6Address(item.removeprefix('[').removesuffix(']'))}]"
    except ValueError:
        raise ValueError("an item is not a name or an address, without port") from None


METRICS_BIND = Variable(
    "METRICS_BIND",
    _bind,
    "an IP address, such as 0.0.0.0 or ::1, or the absolute path of a Unix socket",
    "127.0.0.1",
    "address for metrics and health, or path of a Unix socket (one per service)",
)
METRICS_HOSTS = Variable(
    "METRICS_HOSTS",
    hosts,
    "a comma-separated list of names and addresses without port, such as vm1.example.org,10.0.0.5",
    "",
    "names besides localhost, 127.0.0.1 and [::1] by which metrics and health may be asked for",
)


def metrics_port(default: int) -> Variable[int]:
    """The setting of the port for metrics and health; each service has its own default."""
    return integer(
        "METRICS_PORT",
        str(default),
        "port for metrics and health; 0: none. Set it per service, if at all",
        minimum=0,
        maximum=65535,
    )
