"""The live SSE service's management interface, over gRPC: list its clients, disconnect some.

Plain text, no authentication. One channel per pass, a deadline on every call, and no
keepalive: a Go server closes the connection of a client that pings it more than it expects.
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

# The order is another in every call, so a list in one call is the only one that misses
# nobody. 10,000 clients are about 2 MB; gRPC's own limit for an answer is 4.
PAGE_CLIENTS = 10_000
_OPTIONS = (
    ("grpc.max_receive_message_length", 64 * 2**20),
    # gRPC would obey http_proxy, which is meant for the web and not for a neighbour.
    ("grpc.enable_http_proxy", 0),
)

# What is there is another service, or does not take calls of this host.
_LASTING = (
    grpc.StatusCode.UNIMPLEMENTED,
    grpc.StatusCode.UNAUTHENTICATED,
    grpc.StatusCode.PERMISSION_DENIED,
)

_LATEST = datetime(9999, 12, 31, tzinfo=UTC).timestamp()


@dataclass(frozen=True, slots=True)
class Client:
    """One connection that the SSE service holds open; a time is None if it was never set."""

    id: str
    connected_at: datetime | None
    last_event_at: datetime | None
    remote_addr: str

    @property
    def last_active(self) -> datetime | None:
        """When it got its last event, or connected if it has not got one since."""
        times = (self.connected_at, self.last_event_at)
        return max((time for time in times if time is not None), default=None)


@dataclass(frozen=True, slots=True)
class ClientPage:
    """Some of the connected clients, and how many there are in all."""

    clients: Sequence[Client]
    total: int


class SseManagement:
    """A channel to the service at ``address`` (host:port); use it in a ``with``.

    ``timeout`` is the deadline of each call.
    """

    def __init__(self, address: str, timeout: timedelta) -> None:
        self._address = address
        self._seconds = timeout.total_seconds()
        # With its scheme, for gRPC would take a host named "unix" for a scheme, too.
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
        """What the service says of itself, in one line.

        Raises PassError, naming the setting, where it does not answer or is not well.
        """
        try:
            answer = self._get_health(messages.GetHealthRequest(), timeout=self._seconds)
        except grpc.RpcError as error:
            reason = self._reason(error.code(), error.details())
            message = f"no answer at {self._address} (SSE_GRPC_ADDR): {reason}"
            raise _kind(error.code())(message) from error
        if not answer.healthy:
            raise RemoteAway(f"says at {self._address} that it is not well: {answer.message}")
        return f"{answer.message} ({answer.connected_clients} clients)"

    def pages(self) -> Iterator[ClientPage]:
        """Go through the list once, page by page, the first of which may be empty.

        Raises PassError, naming the setting, where the service does not answer.
        """
        page = self._page(0)
        yield page
        offset, total = len(page.clients), page.total
        while page.clients and offset < total:
            page = self._page(offset)
            yield page
            offset += len(page.clients)

    def disconnect(self, client_ids: Iterable[str]) -> dict[str, str]:
        """Disconnect these clients, all at once; return the reason for each that failed.

        A client that is not connected any more succeeds.
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
                answer = self._get_clients(request, timeout=self._seconds)
            except grpc.RpcError as error:
                outcome(_outcome(error.code()))
                raise _kind(error.code())(
                    f"the SSE service at {self._address} (SSE_GRPC_ADDR) did not list its "
                    f"clients: {self._reason(error.code(), error.details())}"
                ) from error
            outcome(_outcome(grpc.StatusCode.OK))
        return ClientPage([_client(info) for info in answer.clients], answer.total)

    def _reason(self, code: grpc.StatusCode, details: str | None) -> str:
        if code is grpc.StatusCode.DEADLINE_EXCEEDED:
            return f"no answer within {self._seconds:g} s (SSE_GRPC_TIMEOUT)"
        return f"{code.name}: {details}"


def _counter() -> Callable[[Any], None]:
    """Counts and times a call that began just now, once it has ended, on gRPC's own thread."""
    started = time.monotonic()

    def count(call: Any) -> None:
        metrics.count_call("sse", "sse", _outcome(call.code()), time.monotonic() - started)

    return count


def _outcome(code: grpc.StatusCode) -> str:
    return code.name.lower()


def _kind(code: grpc.StatusCode) -> type[PassError]:
    return PassError if code in _LASTING else RemoteAway


def _client(info: messages.ClientInfo) -> Client:
    return Client(
        info.id, _moment(info.connected_at), _moment(info.last_event_at), info.remote_addr
    )


def _moment(stamp: Timestamp) -> datetime | None:
    """Read a time; one that is missing, zero or Go's zero time (the year 1) was never set."""
    if stamp.seconds <= 0:
        return None
    return datetime.fromtimestamp(min(stamp.seconds + stamp.nanos / 1e9, _LATEST), UTC)
