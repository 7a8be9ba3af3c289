"""The live SSE service's management interface over gRPC: list clients, disconnect clients.

Plain text, no authentication. One channel per pass, a deadline on every call, and no keepalive:
a Go server closes the connection of a client that pings more often than its policy allows.
"""

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Self

from google.protobuf.timestamp_pb2 import Timestamp

from common import failpoints, lean_imports, metrics
from common.errors import PassError, RemoteAway
from workers.sse import sse_management_pb2 as messages

with lean_imports.without("asyncio", "grpc.aio"):
    import grpc

_SERVICE = "/sse.SSEManagementService"

# The order differs in every call, so only a list in one call is sure to have every client.
# 10,000 clients are about 2 MB; gRPC's own limit for a reply is 4 MB.
PAGE_CLIENTS = 10_000
_OPTIONS = (
    ("grpc.max_receive_message_length", 64 * 2**20),
    # gRPC would use http_proxy, which is meant for the web, not for a service nearby.
    ("grpc.enable_http_proxy", 0),
)

# Errors that a retry cannot fix: another service, or one that rejects calls from this host.
_PERMANENT = (
    grpc.StatusCode.UNIMPLEMENTED,
    grpc.StatusCode.UNAUTHENTICATED,
    grpc.StatusCode.PERMISSION_DENIED,
)

_LATEST = datetime(9999, 12, 31, tzinfo=UTC).timestamp()


@dataclass(frozen=True, slots=True)
class SseClient:
    """One connection that the SSE service holds open; a time is None if it was never set."""

    id: str
    connected_at: datetime | None
    last_event_at: datetime | None
    remote_addr: str

    @property
    def last_active(self) -> datetime | None:
        """The time of its last event, or of its connection if that is later."""
        times = (self.connected_at, self.last_event_at)
        return max((time for time in times if time is not None), default=None)


@dataclass(frozen=True, slots=True)
class ClientPage:
    """Some of the connected clients, and the total number of clients."""

    clients: Sequence[SseClient]
    total: int


class SseManagement:
    """A channel to the service at ``address`` (host:port); use it in a ``with``.

    ``timeout`` is the deadline of each call.
    """

    def __init__(self, address: str, timeout: timedelta) -> None:
        self._address = address
        self._seconds = timeout.total_seconds()
        # With the scheme, because gRPC would take a host named "unix" for a scheme.
        self._channel = grpc.insecure_channel(f"dns:///{address}", options=_OPTIONS)
        self._get_clients = self._channel.unary_unary(
            f"{_SERVICE}/GetClients",
            messages.GetClientsRequest.SerializeToString,
            messages.GetClientsResponse.FromString,
        )
        self._get_health = self._channel.unary_unary(
            f"{_SERVICE}/GetHealth",
            messages.GetHealthRequest.SerializeToString,
            messages.GetHealthResponse.FromString,
        )
        self._disconnect_client = self._channel.unary_unary(
            f"{_SERVICE}/DisconnectClient",
            messages.DisconnectClientRequest.SerializeToString,
            messages.DisconnectClientResponse.FromString,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._channel.close()

    def health(self) -> str:
        """The health message of the service, in one line.

        Raises PassError, naming the setting, if it does not reply or is not healthy.
        """
        try:
            reply = self._get_health(messages.GetHealthRequest(), timeout=self._seconds)
        except grpc.RpcError as error:
            reason = self._reason(error.code(), error.details())
            message = f"no answer at {self._address} (SSE_GRPC_ADDR): {reason}"
            raise _error_type(error.code())(message) from error
        if not reply.healthy:
            raise RemoteAway(f"reports at {self._address} that it is not healthy: {reply.message}")
        return f"{reply.message} ({reply.connected_clients} clients)"

    def pages(self) -> Iterator[ClientPage]:
        """Read the list once, page by page; the first page may be empty.

        Raises PassError, naming the setting, if the service does not reply.
        """
        page = self._page(0)
        yield page
        offset, total = len(page.clients), page.total
        while page.clients and offset < total:
            page = self._page(offset)
            yield page
            offset += len(page.clients)

    def disconnect(self, client_ids: Iterable[str]) -> dict[str, str]:
        """Disconnect these clients in parallel; return the reason for each that failed.

        A client that is no longer connected counts as disconnected.
        """
        count = _counter()
        failpoints.reach("asked")
        calls = {
            client_id: self._disconnect_client.future(
                messages.DisconnectClientRequest(client_id=client_id), timeout=self._seconds
            )
            for client_id in client_ids
        }
        for call in calls.values():
            call.add_done_callback(count)
        reasons = {}
        for client_id, call in calls.items():
            if call.code() is not grpc.StatusCode.OK:
                reasons[client_id] = self._reason(call.code(), call.details())
            elif not call.result().success:
                reasons[client_id] = call.result().message or "refused without a reason"
        failpoints.reach("answered")
        return reasons

    def _page(self, offset: int) -> ClientPage:
        request = messages.GetClientsRequest(limit=PAGE_CLIENTS, offset=offset)
        with metrics.remote_call("sse", "sse") as outcome:
            try:
                reply = self._get_clients(request, timeout=self._seconds)
            except grpc.RpcError as error:
                outcome(_outcome(error.code()))
                raise _error_type(error.code())(
                    f"the SSE service at {self._address} (SSE_GRPC_ADDR) did not list its "
                    f"clients: {self._reason(error.code(), error.details())}"
                ) from error
            outcome(_outcome(grpc.StatusCode.OK))
        return ClientPage([_client(info) for info in reply.clients], reply.total)

    def _reason(self, code: grpc.StatusCode, details: str | None) -> str:
        if code is grpc.StatusCode.DEADLINE_EXCEEDED:
            return f"no answer within {self._seconds:g} s (SSE_GRPC_TIMEOUT)"
        return f"{code.name}: {details}"


def _counter() -> Callable[[Any], None]:
    """A callback, on gRPC's own thread, that counts and times a call that begins now."""
    started = time.monotonic()

    def count(call: Any) -> None:
        metrics.count_call("sse", "sse", _outcome(call.code()), time.monotonic() - started)

    return count


def _outcome(code: grpc.StatusCode) -> str:
    return code.name.lower()


def _error_type(code: grpc.StatusCode) -> type[PassError]:
    return PassError if code in _PERMANENT else RemoteAway


def _client(info: messages.ClientInfo) -> SseClient:
    return SseClient(info.id, _time(info.connected_at), _time(info.last_event_at), info.remote_addr)


def _time(stamp: Timestamp) -> datetime | None:
    """Read a time; None if it is missing, zero or Go's zero time (the year 1)."""
    if stamp.seconds <= 0:
        return None
    return datetime.fromtimestamp(min(stamp.seconds + stamp.nanos / 1e9, _LATEST), UTC)
