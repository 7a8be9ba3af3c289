"""Opens a stream to a host: to one of its addresses, or through a proxy, with TLS if wanted."""

import http.client
import socket
from collections.abc import Callable, Sequence
from contextlib import suppress
from http import HTTPStatus

from common.errors import limit_reached
from common.remote.http import name_lookup, reply_head
from common.remote.http.deadline import Deadline
from common.remote.http.egress import Egress, Proxy
from common.remote.http.name_lookup import Address
from common.remote.http.no_response import NoResponse, reason
from common.remote.http.origin import Origin
from common.remote.http.stream import Stream

# The addresses of a host that may be connected to, found within some seconds.
FindAddresses = Callable[[str, float], Sequence[Address]]


def open_stream(origin: Origin, egress: Egress, find: FindAddresses, deadline: Deadline) -> Stream:
    """Connect, and shake hands if it is https. ``find`` is asked only without a proxy.

    Raises OSError, or NoResponse for a fault of the proxy, and what ``find`` raises.
    """
    if egress.proxy:
        stream = _through(egress.proxy, origin, deadline)
    else:
        stream = Stream(_connect(find(origin.host, deadline.left), origin.port, deadline), deadline)
    if origin.scheme == "https":
        try:
            # Certificate and SNI are for the name, not for the address.
            stream.start_tls(egress.tls, origin.host)
        except BaseException:
            stream.close()
            raise
    return stream


def _connect(addresses: Sequence[Address], port: int, deadline: Deadline) -> socket.socket:
    """A connection to the first address that accepts; each gets an equal share of the time."""
    for position, address in enumerate(addresses[:-1]):
        share = deadline.left / (len(addresses) - position)
        with suppress(OSError):
            return socket.create_connection((str(address), port), share)
    return socket.create_connection((str(addresses[-1]), port), deadline.left)


def _through(proxy: Proxy, origin: Origin, deadline: Deadline) -> Stream:
    """A stream to the proxy, which for https is a tunnel to the origin."""
    try:
        found = name_lookup.addresses(proxy.host, deadline.left)
        stream = Stream(_connect(found, proxy.port, deadline), deadline)
        if origin.scheme == "https":
            _ask_for_tunnel(stream, proxy, origin)
        return stream
    except (OSError, http.client.HTTPException, name_lookup.NameUnknown) as error:
        raise limit_reached(error) or _fault(proxy, reason(error, deadline.seconds)) from error


def _ask_for_tunnel(stream: Stream, proxy: Proxy, origin: Origin) -> None:
    login = f"Proxy-Authorization: {proxy.authorization}\r\n" if proxy.authorization else ""
    request = f"CONNECT {origin.address} HTTP/1.1\r\nHost: {origin.address}\r\n{login}\r\n"
    try:
        stream.send(request.encode("ascii"))
        status = reply_head.read(stream).status
        if not 200 <= status < 300:
            raise refusal(proxy, status)
    except BaseException:
        stream.close()
        raise


def refusal(proxy: Proxy, status: int) -> NoResponse:
    """The fault of a proxy that has answered with this status itself."""
    if status == HTTPStatus.PROXY_AUTHENTICATION_REQUIRED:
        return _fault(proxy, f"HTTP {status}: it wants another user and password")
    return _fault(proxy, f"HTTP {status} instead of a tunnel")


def _fault(proxy: Proxy, why: str) -> NoResponse:
    return NoResponse(f"{proxy}: {why}")
