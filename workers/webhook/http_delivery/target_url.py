"""A strict parser for webhook URLs: what parsers read differently is refused.

The owner of a webhook chooses its URL. Browsers, resolvers and libraries disagree on 0x7f.1,
2130706433, 127.1, blanks, backslashes and a second @. A user and password become the header of
Basic authorization, as in the live pool.
"""

import ipaddress
import re
from dataclasses import dataclass, field
from urllib.parse import quote, unquote

from common.remote.http import egress
from common.remote.http.origin import DEFAULT_PORTS, Origin

_UNFIT = re.compile(r"[\x00-\x20\x7f-\xa0\\]|[^\S ]")
_URL = re.compile(
    r"(?P<scheme>https?)://(?P<authority>[^/?#]*)(?P<target>[^#]*)(?:#.*)?",
    # ASCII: without it IGNORECASE accepts the long s (U+017F) for an s.
    re.IGNORECASE | re.ASCII,
)
_LOGIN = re.compile(r"(?P<scheme>[^/?#]*://)(?P<userinfo>[^/?#]*)@")
_AUTHORITY = re.compile(r"(?:\[(?P<ipv6>[^\]]*)\]|(?P<name>[^:\[\]]*))(?::(?P<port>.*))?")
_PORT = re.compile(r"[1-9][0-9]{0,4}")
_NAME = re.compile(r"(?=.{1,253}\Z)(?:[A-Za-z0-9_-]{1,63}\.)*[A-Za-z0-9_-]{1,63}")
# What a URL parser may read as an IPv4 address in one of its old forms.
_NUMBER = re.compile(r"(?:.*\.)?(?:[0-9]+|0[xX][0-9A-Fa-f]*)")
_VISIBLE = "".join(map(chr, range(0x21, 0x7F)))


class TargetUrlRefused(Exception):
    """Nothing may be sent there; the message has the reason, without the URL."""


@dataclass(frozen=True, slots=True)
class TargetUrl(Origin):
    """A URL's parts: ``host`` in lower case; ``target`` the path and query for the request line;
    ``authorization`` the value of that header, or ""."""

    target: str
    authorization: str = field(default="", repr=False)

    @property
    def url(self) -> str:
        """The URL in its one spelling, without user and password."""
        return f"{self.scheme}://{self.host_header}{self.target}"


def parse(url: str) -> TargetUrl:
    """Parse a URL; raises TargetUrlRefused for all but plain http and https URLs."""
    if _UNFIT.search(url):
        raise TargetUrlRefused("the URL holds a blank, a control character or a backslash")
    parts = _URL.fullmatch(url)
    if not parts:
        raise TargetUrlRefused("not an http or https URL")
    userinfo, at, host_and_port = parts["authority"].rpartition("@")
    if not egress.is_userinfo(userinfo):
        raise TargetUrlRefused("the URL's user or password is not percent-encoded (@ is %40)")
    authority = _AUTHORITY.fullmatch(host_and_port)
    if not authority:
        raise TargetUrlRefused("the URL's host is malformed")
    scheme = parts["scheme"].lower()
    return TargetUrl(
        scheme=scheme,
        host=_host(authority["name"], authority["ipv6"]),
        port=_port(authority["port"], DEFAULT_PORTS[scheme]),
        target=_target(parts["target"]),
        authorization=egress.basic(userinfo) if at else "",
    )


def without_login(url: str) -> str:
    """Any URL without its user and password."""
    return _LOGIN.sub(r"\g<scheme>", url, count=1)


def login_secrets(url: str) -> tuple[str, ...]:
    """The password in any URL, or the user that has none, as it is written and as it is meant."""
    login = _LOGIN.match(url)
    if not login:
        return ()
    user, colon, password = login["userinfo"].partition(":")
    written = password if colon else user
    return written, unquote(written)


def authorization(url: str) -> str:
    """The value of the Authorization header for this URL, "" without a user."""
    try:
        return parse(url).authorization
    except TargetUrlRefused:
        return ""


def _host(name: str | None, ipv6: str | None) -> str:
    if name is None:
        return _ipv6(ipv6 or "")
    if not name:
        raise TargetUrlRefused("the URL has no host")
    if not name.isascii():
        raise TargetUrlRefused("the URL's host is not ASCII; its xn-- form would do")
    if name.endswith("."):
        raise TargetUrlRefused("the URL's host ends in a dot")
    if not _NAME.fullmatch(name):
        raise TargetUrlRefused("the URL's host is malformed")
    if _NUMBER.fullmatch(name):
        return _ipv4(name)
    return name.lower()


def _ipv4(name: str) -> str:
    try:
        return str(ipaddress.IPv4Address(name))
    except ValueError:
        raise TargetUrlRefused("the URL's host is an IP address in an odd spelling") from None


def _ipv6(text: str) -> str:
    try:
        address = ipaddress.IPv6Address(text)
    except ValueError:
        raise TargetUrlRefused("the URL's host is not an IPv6 address") from None
    if address.scope_id is not None:
        raise TargetUrlRefused("the URL's host names a network interface")
    return str(address)


def _port(text: str | None, default: int) -> int:
    if text is None:
        return default
    if not _PORT.fullmatch(text) or int(text) > 65535:
        raise TargetUrlRefused("the URL's port is not a number from 1 to 65535")
    return int(text)


def _target(text: str) -> str:
    # Percent-encoding stays; characters not allowed in a request line are encoded as UTF-8.
    path = quote(text, safe=_VISIBLE)
    return path if path.startswith("/") else f"/{path}"
