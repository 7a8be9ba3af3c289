"""Finds out who asks, in the one way that the settings choose.

- The Unix socket: whoever can open it is in. The kernel tells the user at its other end, which is
  the one that logged in by ssh.
- A port: a session that began with a login link.
- Behind a proxy: the user that the proxy names.
"""

import ipaddress
from collections.abc import Callable

from flask import abort, request

from common import config
from common.config import Settings
from web.access.sessions import Sessions

# Where the server puts the name of the user at the other end of the Unix socket.
PEER = "toast.peer"

_LONGEST_NAME = 64

# Returns the login of this request; "" if nobody is logged in.
Who = Callable[[], str]


def way(settings: Settings, sessions: Sessions) -> Who:
    """The way to find out who asks. It aborts a request that must not be answered at all."""
    if takes_links(settings):
        return sessions.login
    if settings[config.WEB_BEHIND_PROXY]:
        return lambda: _from_proxy(settings)
    return _from_peer


def takes_links(settings: Settings) -> bool:
    """Whether a login link is the way in."""
    return not settings[config.WEB_BEHIND_PROXY] and not settings[config.WEB_LISTEN].is_socket


def _from_peer() -> str:
    return str(request.environ.get(PEER, "socket"))


def _from_proxy(settings: Settings) -> str:
    if not settings[config.WEB_LISTEN].is_socket and not _is_proxy(settings):
        abort(403, "Only a proxy of WEB_PROXIES may connect to this port.")
    name = request.headers.get(settings[config.WEB_USER_HEADER], "").strip()
    if not name or len(name) > _LONGEST_NAME or not name.isprintable():
        abort(403, "The proxy has named no user.")
    return name


def _is_proxy(settings: Settings) -> bool:
    peer = ipaddress.ip_address(request.remote_addr or "::")
    if isinstance(peer, ipaddress.IPv6Address):
        peer = peer.ipv4_mapped or peer
    return any(peer in network for network in settings[config.WEB_PROXIES])
