"""A stand-in for the live SSE service: its gRPC management interface, and clients.

`python -m devservers.standins.sse` connects 10,000 clients, 250 of them inactive for over half an
hour, prints its address and serves until SIGTERM or SIGINT. It sends no events, so the other
clients become inactive with time.
"""

from __future__ import annotations

import random
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import grpc
from google.protobuf.message import Message

from devservers.child_processes import Server
from devservers.standins import command
from workers.sse import sse_management_pb2 as messages
from workers.sse.sse_management_pb2 import ClientInfo

_Answer = Callable[[Any, grpc.ServicerContext], Message]

SERVICE = "sse.SSEManagementService"
DEFAULT_PAGE_CLIENTS = 50
MAX_CLIENTS = 20_000
# A limit for tests that do not call thaw().
LONGEST_FREEZE_SECONDS = 60.0

# Below and above the default of SSE_CLIENT_CLEANUP_INACTIVE_TIMEOUT.
ACTIVE = timedelta(minutes=25)
QUIET = timedelta(minutes=35)


@dataclass(slots=True)
class Orders:
    """The failures that a test orders; each may be changed at any time.

    ``slow``: seconds that a call takes, by method. ``calls_until_away``: so many more calls get a
    reply, later ones UNAVAILABLE. ``page_clients``: the most clients on a page.
    ``active_once_listed``, ``gone_once_listed``: these clients get an event, or leave, after they
    have been listed so often. ``connect_on_listing``: so many clients connect at each listing.
    ``refused``, ``broken``: by client, the message of a disconnection that is refused, and the
    status of one that fails. ``clock_ahead``: how far the server's clock is ahead.
    """

    slow: dict[str, float] = field(default_factory=dict)
    calls_until_away: int = sys.maxsize
    page_clients: int = sys.maxsize
    active_once_listed: dict[str, int] = field(default_factory=dict)
    gone_once_listed: dict[str, int] = field(default_factory=dict)
    connect_on_listing: int = 0
    refused: dict[str, str] = field(default_factory=dict)
    broken: dict[str, grpc.StatusCode] = field(default_factory=dict)
    clock_ahead: timedelta = timedelta()


class SseServer(Server):
    """The service on loopback; `port` 0 means a free one, which a restart keeps.

    `clients` by id, `requests` in order of arrival, `orders` for failures.
    """

    def __init__(self, port: int = 0) -> None:
        self.clients: dict[str, ClientInfo] = {}
        self.requests: list[Message] = []
        self.orders = Orders()
        self._port = port
        self._random = random.Random(1)
        self._lock = threading.Lock()
        self._thawed = threading.Event()
        self._thawed.set()
        self._server: grpc.Server | None = None

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self._port}"

    @property
    def listings(self) -> int:
        """How many pages of the list were requested."""
        return sum(isinstance(request, messages.GetClientsRequest) for request in [*self.requests])

    @property
    def cuts(self) -> list[str]:
        """The clients whose disconnection was requested, in order."""
        wanted = messages.DisconnectClientRequest
        return [request.client_id for request in [*self.requests] if isinstance(request, wanted)]

    def start(self) -> None:
        """Serve."""
        methods = {
            name: self._method(name, request_type, answer)
            for name, request_type, answer in (
                ("GetClients", messages.GetClientsRequest, self._get_clients),
                ("DisconnectClient", messages.DisconnectClientRequest, self._disconnect_client),
                ("GetStats", messages.GetStatsRequest, self._get_stats),
                ("GetHealth", messages.GetHealthRequest, self._get_health),
            )
        }
        self._server = grpc.server(
            # More threads are slower: Python runs one at a time.
            ThreadPoolExecutor(max_workers=2),
            handlers=[grpc.method_handlers_generic_handler(SERVICE, methods)],
            # Else a port in use would be shared with the process that has it.
            options=[("grpc.so_reuseport", 0)],
        )
        self._port = self._server.add_insecure_port(self.address)
        self._server.start()

    def stop(self) -> None:
        """End every call and close the port; the clients stay for a restart."""
        self.thaw()
        if self._server is not None:
            self._server.stop(grace=None).wait()
            self._server = None

    def freeze(self) -> None:
        """Accept requests without replies until thaw()."""
        self._thawed.clear()

    def thaw(self) -> None:
        """Reply to the waiting requests, and continue."""
        self._thawed.set()

    def connect(self, *clients: ClientInfo) -> None:
        """Add clients."""
        with self._lock:
            self.clients.update((client.id, client) for client in clients)

    def _method(
        self, name: str, request_type: type[Message], answer: _Answer
    ) -> grpc.RpcMethodHandler[Any, Any]:
        def handle(request: Message, context: grpc.ServicerContext) -> Message:
            self.requests.append(request)
            self._thawed.wait(LONGEST_FREEZE_SECONDS)
            time.sleep(self.orders.slow.get(name, 0))
            with self._lock:
                self.orders.calls_until_away -= 1
                if self.orders.calls_until_away < 0:
                    context.abort(grpc.StatusCode.UNAVAILABLE, "the service is shutting down")
                return answer(request, context)

        return grpc.unary_unary_rpc_method_handler(
            handle, request_type.FromString, lambda message: message.SerializeToString()
        )

    def _get_clients(
        self, request: messages.GetClientsRequest, context: grpc.ServicerContext
    ) -> messages.GetClientsResponse:
        for _ in range(self.orders.connect_on_listing):
            client = new_client(self._now(), idle=timedelta())
            self.clients[client.id] = client
        # A Go map has a random order, another in each call.
        clients = self._random.sample([*self.clients.values()], len(self.clients))
        limit = min(request.limit or DEFAULT_PAGE_CLIENTS, self.orders.page_clients)
        page = clients[request.offset : request.offset + limit]
        reply = messages.GetClientsResponse(clients=page, total=len(clients))
        for client in page:
            if _is_time(self.orders.gone_once_listed, client.id):
                del self.clients[client.id]
            if _is_time(self.orders.active_once_listed, client.id):
                client.last_event_at.FromDatetime(self._now())
                client.events_received += 1
        return reply

    def _disconnect_client(
        self, request: messages.DisconnectClientRequest, context: grpc.ServicerContext
    ) -> messages.DisconnectClientResponse:
        client_id = request.client_id
        if not client_id:
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, "client_id is required")
        if client_id in self.orders.broken:
            context.abort(self.orders.broken[client_id], f"cannot disconnect {client_id}")
        if client_id in self.orders.refused:
            return messages.DisconnectClientResponse(
                success=False, message=self.orders.refused[client_id]
            )
        self.clients.pop(client_id, None)
        return messages.DisconnectClientResponse(success=True, message="Client disconnected")

    def _get_stats(
        self, request: messages.GetStatsRequest, context: grpc.ServicerContext
    ) -> messages.GetStatsResponse:
        return messages.GetStatsResponse(
            total_clients=len(self.clients),
            max_clients=MAX_CLIENTS,
            total_events_sent=sum(client.events_received for client in self.clients.values()),
        )

    def _get_health(
        self, request: messages.GetHealthRequest, context: grpc.ServicerContext
    ) -> messages.GetHealthResponse:
        return messages.GetHealthResponse(
            healthy=True, message="SSE service is healthy", connected_clients=len(self.clients)
        )

    def _now(self) -> datetime:
        return datetime.now(UTC) + self.orders.clock_ahead


def _is_time(countdowns: dict[str, int], client_id: str) -> bool:
    if client_id in countdowns:
        countdowns[client_id] -= 1
    return countdowns.get(client_id) == 0


def new_client(now: datetime, *, idle: timedelta, had_events: bool = False) -> ClientInfo:
    """A client that connected, or got its last event, ``idle`` before ``now``."""
    last_active = now - idle
    return ClientInfo(
        id=str(uuid4()),
        connected_at=last_active - timedelta(hours=1) if had_events else last_active,
        last_event_at=last_active if had_events else None,
        events_received=12 if had_events else 0,
        filter=messages.SubscriptionFilter(event_types=["blog.*", "link.expired"]),
        user_agent="Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0",
        remote_addr=f"10.0.{random.randrange(256)}.{random.randrange(256)}:51234",
    )


def main() -> int:
    """Serve until a signal; returns the exit code."""
    parser = command.parser("devservers.standins.sse", __doc__)
    parser.add_argument("--clients", type=int, default=10_000, help="how many are connected")
    parser.add_argument("--quiet", type=int, default=250, help="how many of them are inactive")
    options = parser.parse_args()
    server, now = SseServer(options.port), datetime.now(UTC)
    for number in range(options.clients):
        idle = QUIET if number < options.quiet else ACTIVE * random.random()
        server.connect(new_client(now, idle=idle, had_events=number % 3 > 0))
    return command.serve(server, lambda: server.address)


if __name__ == "__main__":
    sys.exit(main())
