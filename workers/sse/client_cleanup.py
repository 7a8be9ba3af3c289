"""client-cleanup: disconnects inactive clients of the SSE service.

Due: clients whose last event, or whose connection if they never got one, is
SSE_CLIENT_CLEANUP_INACTIVE_TIMEOUT or longer ago by the database's clock; a client with
neither time is never due. Changes: nothing in the database; the SSE service is asked to
disconnect them. Event: none. A crash leaves the rest connected and still due.

The service lists all of its clients, in no stable order, but cannot return a single one. So a
pass reads the list once to find the due clients, and then again: a client is disconnected only
if it is still due on a page that was received at most FRESH_SECONDS ago. An event that reaches
a client within this time, or during one of the two calls, does not keep it connected; a browser
then reconnects by itself.

An SSE service whose clock is ahead keeps its inactive clients longer; this is detected and
logged once per process. One whose clock is behind loses its clients too early; this cannot be
detected: its list looks like that of a service without events.
"""

import threading
import time
from collections.abc import Container, Iterable, Sequence
from datetime import timedelta
from operator import itemgetter
from typing import TYPE_CHECKING, Any

from common import config
from common.errors import PassError
from common.logging import logs
from common.scheduling import (
    PREVIEW_ROWS,
    Checked,
    Custom,
    Pass,
    PassResult,
    Preview,
    Reasons,
    Remote,
    Scheduler,
)
from common.scheduling.under_way import clock_guard, pass_lock

if TYPE_CHECKING:
    from workers.sse.sse_management import ClientPage, SseClient, SseManagement

_log = logs.logger(__name__)

FRESH_SECONDS = 0.5
PARALLEL_CALLS = 50  # measured: more are not faster
# If the service returns short pages, a round shows each client with a probability of 63 % or
# more: after twenty rounds, one in 500 million is unseen.
MOST_ROUNDS = 20
MOST_CLOCK_DIFFERENCE = timedelta(minutes=1)

ADDRESS = config.address("SSE_GRPC_ADDR", "localhost:9094", "SSE service: gRPC address")
CALL_TIMEOUT = config.duration(
    "SSE_GRPC_TIMEOUT", "5s", "SSE service: the longest a call may take", maximum="1m"
)
INACTIVE_TIMEOUT = config.duration(
    "SSE_CLIENT_CLEANUP_INACTIVE_TIMEOUT",
    "30m",
    "how long a client may go without an event before it is disconnected",
    minimum="1s",
)

# A clock that is wrong is wrong in every pass: logged once per process.
_clock_warning_logged = threading.Event()


class _Cleanup:
    """One pass over the clients of one service."""

    def __init__(self, current: Pass, service: "SseManagement") -> None:
        self._pass = current
        self._service = service
        self._cutoff = current.now - current.settings[INACTIVE_TIMEOUT]
        self._waiting: set[str] = set()  # ids of clients to disconnect
        self._total = PassResult()

    def list_clients(self) -> list["SseClient"]:
        """All connected clients: the list is read until a complete round shows no new one.

        The order differs in every call, so a round can miss clients: the rounds must also have
        seen as many as there are. Clients that connected after the pass began do not count as
        new, or a steady flow of them would prolong the pass. MOST_ROUNDS is the limit.
        """
        clients: dict[str, SseClient] = {}
        for _ in range(MOST_ROUNDS):
            has_new, total = False, 0
            for page in self._service.pages():
                self._pass.report_progress()
                has_new |= any(self._is_new(client, clients) for client in page.clients)
                clients |= {client.id: client for client in page.clients}
                total = page.total
                if self._pass.stopping():
                    break
            if self._pass.stopping() or (not has_new and len(clients) >= total):
                break
        self._compare_clocks(clients.values())
        return list(clients.values())

    def is_due(self, client: "SseClient") -> bool:
        last_active = client.last_active
        return last_active is not None and last_active <= self._cutoff

    def run(self) -> PassResult:
        """Disconnect the clients that are due, and still are when they are listed again."""
        clients = self.list_clients()
        self._waiting = {client.id for client in clients if self.is_due(client)}
        counts = {"clients": len(clients), "inactive": len(self._waiting), "active_again": 0}
        self._total = PassResult(details=counts)
        try:
            self._disconnect_waiting()
        except PassError as error:
            if not self._total.processed:
                raise
            done = f"disconnected until then: {self._total.processed}"
            raise type(error)(f"{error}; {done}") from error
        return self._total + PassResult(complete=not self._pass.stopping())

    def _is_new(self, client: "SseClient", known: Container[str]) -> bool:
        connected_at = client.connected_at
        return client.id not in known and (connected_at is None or connected_at <= self._pass.now)

    def _disconnect_waiting(self) -> None:
        """Read the list again until no client waits, or those that wait are not in it any more."""
        idle_rounds = 0
        while self._waiting and idle_rounds < MOST_ROUNDS and not self._pass.stopping():
            before = len(self._waiting)
            is_complete = self._disconnect_in_one_round()
            if len(self._waiting) < before:
                idle_rounds = 0
            elif is_complete:
                return
            else:
                idle_rounds += 1

    def _disconnect_in_one_round(self) -> bool:
        """Read the list once, and disconnect from each page; returns whether it showed all."""
        seen, total = set[str](), 0
        for page in self._service.pages():
            self._pass.report_progress()
            self._disconnect_if_still_due(page)
            seen.update(client.id for client in page.clients)
            total = page.total
            if not self._waiting or self._pass.stopping():
                break
        return len(seen) >= total

    def _disconnect_if_still_due(self, page: "ClientPage") -> None:
        fresh_until = time.monotonic() + FRESH_SECONDS
        seen = [client for client in page.clients if client.id in self._waiting]
        due = [client.id for client in seen if self.is_due(client)]
        self._waiting.difference_update(client.id for client in seen if not self.is_due(client))
        self._total += PassResult(details={"active_again": len(seen) - len(due)})
        for first in range(0, len(due), PARALLEL_CALLS):
            if self._pass.stopping() or time.monotonic() > fresh_until:
                return
            disconnected = self._disconnect(due[first : first + PARALLEL_CALLS])
            self._total += disconnected
            if not disconnected.processed:
                return  # if the service is away, reading the list again raises the error

    def _disconnect(self, client_ids: Sequence[str]) -> PassResult:
        reasons = self._service.disconnect(client_ids)
        self._waiting.difference_update(client_ids)
        for client_id, reason in reasons.items():
            _log.warning("client_disconnect_failed", client_id=client_id, reason=reason)
        note = next((f"client {client_id}: {reason}" for client_id, reason in reasons.items()), "")
        result = PassResult(len(client_ids) - len(reasons), failed=len(reasons), note=note)
        self._pass.report_progress(result)
        return result

    def _compare_clocks(self, clients: Iterable["SseClient"]) -> None:
        """Log a warning if an event is later than the time at which its client was listed."""
        events = (client.last_event_at for client in clients)
        newest = max((event for event in events if event is not None), default=self._pass.now)
        ahead = newest - self._pass.time_now()
        if ahead > MOST_CLOCK_DIFFERENCE and not _clock_warning_logged.is_set():
            _clock_warning_logged.set()
            _log.warning("clock_skew_detected", seconds=round(ahead.total_seconds()))


def run(current: Pass) -> PassResult:
    """Disconnect the clients that have been inactive for too long.

    Raises PassError if the SSE service does not reply, and ClocksDiffer if the clocks of this
    machine and the database differ.
    """
    clock_guard.require_agreement(current)
    with _connect(current.settings) as service:
        return _Cleanup(current, service).run()


def preview(current: Pass) -> Preview:
    """List the clients that a pass would disconnect, the longest inactive first."""
    clock_guard.require_agreement(current)
    with _connect(current.settings) as service:
        cleanup = _Cleanup(current, service)
        due = [client for client in cleanup.list_clients() if cleanup.is_due(client)]
    due.sort(key=lambda client: client.last_active or current.now)
    return Preview(len(due), [_shown(client) for client in due[:PREVIEW_ROWS]])


def why(current: Pass, client_id: str) -> Reasons:
    """Why a pass would disconnect this client, or not. Raises PassError if it is not connected."""
    with _connect(current.settings) as service:
        cleanup = _Cleanup(current, service)
        client = next((each for each in cleanup.list_clients() if each.id == client_id), None)
    if client is None:
        address = current.settings[ADDRESS]
        raise PassError(f"no client {client_id} is connected to the SSE service at {address}")
    since = client.last_active and client.last_active + current.settings[INACTIVE_TIMEOUT]
    times = {"connected_at": client.connected_at, "last_event_at": client.last_event_at}
    limit = {INACTIVE_TIMEOUT.name: current.settings.written(INACTIVE_TIMEOUT)}
    is_due = cleanup.is_due(client)
    idle = Checked("without an event for too long", is_due, times, limit, None if is_due else since)
    return Reasons("SSE service", current.now, _shown(client), [idle], since)


def _shown(client: "SseClient") -> dict[str, Any]:
    return {
        "client_id": client.id,
        "connected_at": client.connected_at,
        "last_event_at": client.last_event_at,
        "remote_addr": client.remote_addr,
    }


def _check(settings: config.Settings) -> str:
    with _connect(settings) as service:
        return service.health()


def _connect(settings: config.Settings) -> "SseManagement":
    # gRPC writes to standard error past our log, and waits there if nobody reads it.
    config.environment_default("GRPC_VERBOSITY", "NONE")
    # Imported here: `toast list` loads every service, without gRPC.
    from workers.sse.sse_management import SseManagement

    return SseManagement(settings[ADDRESS], settings[CALL_TIMEOUT])


SCHEDULER = Scheduler(
    name="client-cleanup",
    summary="disconnects SSE clients that have had no event for too long",
    enabled=config.boolean(
        "SSE_CLIENT_CLEANUP_ENABLED", "true", "whether inactive SSE clients are disconnected"
    ),
    interval=config.interval(
        "SSE_CLIENT_CLEANUP_INTERVAL", "5m", "time from one look for inactive clients to the next"
    ),
    work=pass_lock.exclusive(
        Custom(
            run=run, preview=preview, why=why, settings=(INACTIVE_TIMEOUT, ADDRESS, CALL_TIMEOUT)
        )
    ),
    remotes=(Remote("SSE service", itemgetter(ADDRESS), _check),),
)
