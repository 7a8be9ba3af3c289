"""One POST of a webhook: to a checked address, with one deadline for all steps, no redirects.

Uses http.client: no redirects, no proxy from the environment, no decompression (the request has
``identity``), and it accepts a connection made here. Each delivery has its own connection.
"""

import contextlib
import http.client
import socket
import ssl
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from common.errors import limit_reached, naming_limits
from common.version import USER_AGENT
from workers.webhook.http_delivery.private_networks import Address
from workers.webhook.http_delivery.ssrf_guard import NameUnknown, SsrfGuard
from workers.webhook.http_delivery.target_url import TargetUrl, TargetUrlRefused, parse

MOST_BODY_BYTES = 10 * 1024
# Read beyond the stored part, so that a secret at the cut is complete and can be hidden: 500
# characters, each escaped as up to six.
_SPARE_BYTES = 3 * 1024
MOST_HEADER_CHARACTERS = 10 * 1024


@dataclass(frozen=True, slots=True)
class ReceiverReply:
    """The receiver's reply: ``status`` 0 and an ``error`` without one.

    ``body`` is the first 13 KB; ``retry_after`` the header's text; ``refused`` means that nothing
    was sent because the URL or its address is not allowed.
    """

    status: int = 0
    headers: Mapping[str, str] = field(default_factory=dict)
    body: str = ""
    retry_after: str = ""
    error: str = ""
    refused: bool = False
    seconds: float = 0.0

    @property
    def is_success(self) -> bool:
        """Whether the receiver has accepted the delivery."""
        return 200 <= self.status < 300


class _Deadline:
    """A time on the monotonic clock at which a connection is shut down.

    A socket's own timeout begins anew with each call: a peer that sends a byte a second never
    reaches it.
    """

    def __init__(self, seconds: float) -> None:
        self._at = time.monotonic() + seconds
        self.passed = False

    @property
    def seconds_left(self) -> float:
        return max(0.001, self._at - time.monotonic())

    @contextlib.contextmanager
    def over(self, transport: socket.socket) -> Iterator[None]:
        """Shut the connection down if the deadline passes during the block."""
        # A duplicate, because TLS detaches the original socket object.
        with transport.dup() as duplicate:
            timer = threading.Timer(self.seconds_left, self._cut, (duplicate,))
            timer.daemon = True
            with naming_limits():
                timer.start()
            try:
                yield
            finally:
                timer.cancel()
                timer.join()

    def _cut(self, transport: socket.socket) -> None:
        self.passed = True
        with contextlib.suppress(OSError):  # closed by the peer meanwhile
            transport.shutdown(socket.SHUT_RDWR)


@dataclass(frozen=True, slots=True)
class DeliveryClient:
    """Sends deliveries, each within ``timeout`` seconds; safe to share between threads."""

    guard: SsrfGuard
    timeout: float
    tls: ssl.SSLContext = field(default_factory=ssl.create_default_context)

    def post(self, url: str, headers: Mapping[str, str], body: bytes) -> ReceiverReply:
        """Send one request; remote failures are in the reply, not raised.

        Raises LimitReached if this process may open no more files or threads.
        """
        started = time.monotonic()
        deadline = _Deadline(self.timeout)
        try:
            destination = parse(url)
            addresses = self.guard.addresses(destination, deadline.seconds_left)
            with _connect(addresses, destination.port, deadline) as transport:
                reply = self._exchange(transport, destination, headers, body, deadline)
        except TargetUrlRefused as refusal:
            reply = ReceiverReply(error=f"refused: {refusal}", refused=True)
        except NameUnknown as error:
            reply = ReceiverReply(error=str(error))
        # ValueError: what http.client raises for a header that cannot be sent.
        except (OSError, http.client.HTTPException, ValueError) as error:
            if limit := limit_reached(error):
                raise limit from error
            late = deadline.passed or isinstance(error, TimeoutError)
            reply = ReceiverReply(error="no complete answer in time" if late else _reason(error))
        return replace(reply, seconds=time.monotonic() - started)

    def _exchange(
        self,
        transport: socket.socket,
        destination: TargetUrl,
        headers: Mapping[str, str],
        body: bytes,
        deadline: _Deadline,
    ) -> ReceiverReply:
        connection = http.client.HTTPConnection(destination.host, destination.port)
        with contextlib.closing(connection), deadline.over(transport):
            transport.settimeout(deadline.seconds_left)
            connection.sock = transport
            if destination.scheme == "https":
                # Certificate and SNI are for the name, not for the address.
                connection.sock = self.tls.wrap_socket(transport, server_hostname=destination.host)
            connection.request(
                "POST", destination.target, body, request_headers(headers, destination)
            )
            with connection.getresponse() as response:
                # A connection that is shut down within the headers looks as if they ended there.
                if deadline.passed:
                    raise TimeoutError
                return _reply(response)


def _connect(addresses: Sequence[Address], port: int, deadline: _Deadline) -> socket.socket:
    """A connection to the first address that accepts; each gets an equal share of the time."""
    for position, address in enumerate(addresses[:-1]):
        share = deadline.seconds_left / (len(addresses) - position)
        with contextlib.suppress(OSError):
            return socket.create_connection((str(address), port), share)
    return socket.create_connection((str(addresses[-1]), port), deadline.seconds_left)


def request_headers(headers: Mapping[str, str], destination: TargetUrl) -> dict[str, str]:
    """Headers with those that every request needs; http.client would add port 443 to Host."""
    own = {"Host": destination.host_header, "User-Agent": USER_AGENT, "Connection": "close"}
    return own | dict(headers)


def _reply(response: http.client.HTTPResponse) -> ReceiverReply:
    return ReceiverReply(
        status=response.status,
        headers=_first_headers(response),
        body=_first_body(response),
        retry_after=response.headers.get("Retry-After", ""),
    )


def _first_headers(response: http.client.HTTPResponse) -> dict[str, str]:
    kept: dict[str, str] = {}
    room = MOST_HEADER_CHARACTERS
    for name, value in response.headers.items():
        room -= len(name) + len(value)
        if room < 0:
            break
        kept[name] = f"{kept[name]}, {value}" if name in kept else value
    return kept


def _first_body(response: http.client.HTTPResponse) -> str:
    """The beginning of the body, as far as it was received: only the status decides."""
    encoding = response.headers.get("Content-Encoding", "identity")
    if encoding.lower() != "identity":
        return f"(not decoded: {encoding[:50]})"
    body = bytearray()
    with contextlib.suppress(OSError, http.client.HTTPException):
        while piece := response.read1(MOST_BODY_BYTES + _SPARE_BYTES - len(body)):
            body += piece
    return body.decode(errors="replace")


def _reason(error: Exception) -> str:
    match error:
        case ssl.SSLCertVerificationError():
            return f"the certificate is not valid: {error.verify_message}"
        case ssl.SSLError():
            return f"TLS failed: {error.reason}"
        case OSError():
            return f"the connection failed: {error.strerror or type(error).__name__}"
        case http.client.HTTPException():
            return f"the answer is not HTTP: {type(error).__name__}"
        case _:
            return "a header of the request holds what no header may"
