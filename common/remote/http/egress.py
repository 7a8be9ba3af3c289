"""The way out of this host: through a proxy or not, and the CAs that are trusted."""

import base64
import re
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING
from urllib.parse import unquote_to_bytes

if TYPE_CHECKING:
    import ssl

# User and password as a URL may have them, percent-encoded; a second @ is read differently.
_USERINFO = r"(?:[A-Za-z0-9._~!$&'()*+,;=:-]|%[0-9A-Fa-f]{2})*"
_PROXY = re.compile(
    rf"http://(?:(?P<userinfo>{_USERINFO})@)?"
    r"(?P<host>[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\]):(?P<port>[0-9]{1,5})/?"
)


@dataclass(frozen=True, slots=True)
class Proxy:
    """An HTTP proxy; ``authorization`` is the value of its header, "" without a login."""

    setting: str
    host: str
    port: int
    authorization: str = field(default="", repr=False)

    def __str__(self) -> str:
        return f"the proxy {self.address} of {self.setting}"

    @property
    def address(self) -> str:
        """host:port, IPv6 in brackets."""
        return netloc(self.host, self.port)


@dataclass(frozen=True)
class Egress:
    """``ca_file`` is a PEM file with CAs to trust beside those of the system, or ""."""

    proxy: Proxy | None = None
    ca_file: str = ""

    @cached_property
    def tls(self) -> "ssl.SSLContext":
        """Made when it is first used: that reads every CA of the system."""
        import ssl

        context = ssl.create_default_context()
        if self.ca_file:
            context.load_verify_locations(self.ca_file)
        return context


def parse_proxy(setting: str, url: str) -> Proxy:
    """The proxy of a URL, http://[user:password@]host:port. Raises ValueError with the reason."""
    parts = _PROXY.fullmatch(url)
    if not parts:
        raise ValueError("not http://[user:password@]host:port")
    if not 1 <= int(parts["port"]) <= 65535:
        raise ValueError("the port is not from 1 to 65535")
    login = "" if parts["userinfo"] is None else basic(parts["userinfo"])
    return Proxy(setting, parts["host"].strip("[]"), int(parts["port"]), login)


def basic(userinfo: str) -> str:
    """The header that logs in as a URL's ``user:password``, percent-encoded."""
    user, _, password = userinfo.partition(":")
    login = b":".join((unquote_to_bytes(user), unquote_to_bytes(password)))
    return f"Basic {base64.b64encode(login).decode()}"


def is_userinfo(text: str) -> bool:
    """Whether every parser reads this text as a URL's user and password."""
    return re.fullmatch(_USERINFO, text) is not None


def netloc(host: str, port: int | None) -> str:
    """host:port with IPv6 in brackets; without a port if it is None."""
    shown = f"[{host}]" if ":" in host else host
    return shown if port is None else f"{shown}:{port}"
