"""The settings of the page, `toast web`: where it listens, who may open it, and what it may do."""

import ipaddress
import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from common.config.combinations import Rule, broken
from common.config.declared import endpoint
from common.config.kinds import Variable, boolean, choice
from common.config.network_kinds import networks

_ADDRESS = re.compile(r"(?:(?P<ipv4>[0-9.]+)|\[(?P<ipv6>[^\]]+)\]):(?P<port>[0-9]{1,5})")
# An underscore in the name of a header could pass for a hyphen.
_HEADER = re.compile(r"[A-Za-z][A-Za-z0-9-]*")


class Listen(NamedTuple):
    """An IP address and a port, or the path of a Unix socket and port 0."""

    address: str
    port: int

    @property
    def is_socket(self) -> bool:
        return self.address.startswith("/")

    @property
    def is_for_this_machine(self) -> bool:
        """Whether no other machine can connect to it."""
        return self.is_socket or ipaddress.ip_address(self.address).is_loopback

    @property
    def url(self) -> str:
        """How a browser on this machine opens it."""
        host = f"[{self.address}]" if ":" in self.address else self.address
        return f"unix:{self.address}" if self.is_socket else f"http://{host}:{self.port}"


def _listen(text: str) -> Listen:
    if text.startswith("/"):
        return Listen(endpoint.socket_path(text), 0)
    match = _ADDRESS.fullmatch(text)
    if not match:
        raise ValueError("not a path or ADDRESS:PORT")
    if not 1 <= int(match["port"]) <= 65535:
        raise ValueError("a port is not from 1 to 65535")
    return Listen(str(ipaddress.ip_address(match["ipv4"] or match["ipv6"])), int(match["port"]))


def _header(text: str) -> str:
    if text and not _HEADER.fullmatch(text):
        raise ValueError("not letters, digits and hyphens")
    return text


WEB_LISTEN = Variable(
    "WEB_LISTEN",
    _listen,
    "the absolute path of a Unix socket, or ADDRESS:PORT, such as 127.0.0.1:9180 or [::1]:9180",
    "/run/toast-web/web.sock",
    "where the page listens: a Unix socket, or a port of this machine",
)
WEB_ACTIONS = choice(
    "WEB_ACTIONS",
    ("none", "safe", "all"),
    "safe",
    "what the page may do: nothing; pause, resume, run now and retry; or also drop",
)
WEB_HOSTS = Variable(
    "WEB_HOSTS",
    endpoint.hosts,
    endpoint.METRICS_HOSTS.expected,
    "",
    "names besides localhost, 127.0.0.1 and [::1] by which the page may be opened",
)
WEB_BEHIND_PROXY = boolean(
    "WEB_BEHIND_PROXY",
    "false",
    "whether a proxy in front of the page logs users in; WEB_LISTEN may then be any address",
)
WEB_USER_HEADER = Variable(
    "WEB_USER_HEADER",
    _header,
    "the name of a header, such as X-Remote-User",
    "",
    "the header in which that proxy names the user; it must replace what a client sends in it",
)
WEB_PROXIES = networks(
    "WEB_PROXIES",
    "127.0.0.1,::1",
    "addresses of that proxy; a request from elsewhere is refused. Who can open the Unix socket"
    " is believed, too",
)
WEB_SECRET_FILE = Variable(
    "WEB_SECRET_FILE",
    endpoint.socket_path,
    "the absolute path of a file that the page may write",
    "/run/toast-web/secret",
    "file that the page makes at its start; what is in it signs logins",
)

PAGE: tuple[Variable[Any], ...] = (
    *(WEB_LISTEN, WEB_ACTIONS, WEB_HOSTS),
    *(WEB_BEHIND_PROXY, WEB_USER_HEADER, WEB_PROXIES, WEB_SECRET_FILE),
)


def combination_faults(values: Mapping[str, object]) -> Iterator[str]:
    """One line for each setting that the others need or exclude.

    ``values`` are the parsed values by name; a setting that could not be parsed is missing there.
    """
    behind, listen = values.get(WEB_BEHIND_PROXY.name), values.get(WEB_LISTEN.name)
    if behind is None:
        return
    yield from broken([Rule((WEB_USER_HEADER,), bool(behind), "WEB_BEHIND_PROXY=true")], values)
    if not behind and isinstance(listen, Listen) and not listen.is_for_this_machine:
        yield (
            f"WEB_LISTEN is {listen.address}, which other machines can reach; expected a Unix"
            " socket, 127.0.0.1:PORT or [::1]:PORT, or WEB_BEHIND_PROXY=true"
        )
