"""client-cleanup: disconnects clients of the SSE service that have gone quiet.

Due: clients whose last event, or whose connecting if they never got one, is
SSE_CLIENT_CLEANUP_INACTIVE_TIMEOUT or longer ago by the database's clock; a client with
neither time is left alone. Changes: nothing in the database; the SSE service is asked to
disconnect them. Event: none. A crash half-way leaves the rest connected and still due.

The service can list its clients, all of them and in no stable order, but not show a single
one. So a pass goes through the list once to find who is due, and then again to make sure:
a client is cut only if it is still due on a page that came in FRESH_SECONDS ago or less.
What remains: an event that reaches a client in that time, or while one of the two calls is
under way, does not save it, and a browser then connects anew by itself.

An SSE service whose clock is ahead keeps its quiet clients for longer, which is noticed and
logged once per process. One whose clock is behind loses its clients too early, and that does
not show: its list then looks like that of a service on which nothing happens.
"""

import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING

from common import config
from common.errors import PassError
from common.logging import logs
from common.scheduling import (
    PREVIEW_ROWS,
    Pass,
    PassResult,
    Preview,
    Remote,
    Scheduler,
    clock_guard,
)
from common.scheduling.pass_lock import exclusive

if TYPE_CHECKING:
    from workers.sse.sse_management import Client, ClientPage, SseManagement

_log = logs.logger(__name__)

FRESH_SECONDS = 0.5
CALLS_AT_ONCE = 50  # measured: more are no faster
# Where the service cuts its pages short, a round shows each client with a chance of 63 % or
# more: after twenty, one in 500 million is unseen.
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

# A clock that is wrong is wrong in every pass: said once per process.
_clock_warning_given = threading.Event()


class _Cleanup:
    """One pass over the clients of one service."""

    def __init__(self, current: Pass, service: "SseManagement") -> None:
        self._pass = current
        self._service = service
        self._started = time.monotonic()
        self._cutoff = current.now - current.settings[INACTIVE_TIMEOUT]
        self._waiting: set[str] = set()

    def clients(self) -> list["Client"]:
        """Everyone who is connected, each as last seen."""
        clients = {client.id: client for page in self._pages() for client in page.clients}
        self._compare_clocks(clients.values())
        return list(clients.values())

    def is_due(self, client: "Client") -> bool:
        last_active = client.last_active
        return last_active is not None and last_active <= self._cutoff

    def run(self) -> PassResult:
        """Disconnect everyone who is due and, when looked at again, still is."""
        clients = self.clients()
        self._waiting = {client.id for client in clients if self.is_due(client)}
        counts = {"clients": len(clients), "inactive": len(self._waiting), "active_again": 0}
        result = PassResult(details=counts)
        try:
            for page in self._pages_while_waiting():
                result += self._cut_if_still_due(page)
        except PassError as error:
            if not result.processed:
                raise
            raise type(error)(f"{error}; disconnected until then: {result.processed}") from error
        return result + PassResult(complete=not self._pass.stopping())

    def _pages(self) -> Iterator["ClientPage"]:
        """Go round the list until a full round shows no new client.

        A round can miss some, for the order is another in every call: so it must also have
        seen as many as there are. Who connected after the pass began is not news, or clients
        that come all the time would keep it going; MOST_ROUNDS is the end in any case.
        """
        seen: set[str] = set()
        for _ in range(MOST_ROUNDS):
            news, total = False, 0
            for page in self._service.pages():
                self._pass.report_progress()
                yield page
                if self._pass.stopping():
                    return
                news |= any(self._is_news(client, seen) for client in page.clients)
                seen.update(client.id for client in page.clients)
                total = page.total
            if not news and len(seen) >= total:
                return

    def _is_news(self, client: "Client", seen: set[str]) -> bool:
        connected_at = client.connected_at
        return client.id not in seen and (connected_at is None or connected_at <= self._pass.now)

    def _pages_while_waiting(self) -> Iterator["ClientPage"]:
        """Go round the list until nobody waits, or those who do have left by themselves."""
        waiting = -1
        while self._waiting and len(self._waiting) != waiting and not self._pass.stopping():
            waiting = len(self._waiting)
            for page in self._pages():
                yield page
                if not self._waiting:
                    return

    def _cut_if_still_due(self, page: "ClientPage") -> PassResult:
        fresh_until = time.monotonic() + FRESH_SECONDS
        seen = [client for client in page.clients if client.id in self._waiting]
        due = [client.id for client in seen if self.is_due(client)]
        self._waiting.difference_update(client.id for client in seen if not self.is_due(client))
        result = PassResult(details={"active_again": len(seen) - len(due)})
        for first in range(0, len(due), CALLS_AT_ONCE):
            if self._pass.stopping() or time.monotonic() > fresh_until:
                break
            cut = self._disconnect(due[first : first + CALLS_AT_ONCE])
            result += cut
            if not cut.processed:
                break  # perhaps the service is away: reading the list again will tell
        return result

    def _disconnect(self, client_ids: Sequence[str]) -> PassResult:
        reasons = self._service.disconnect(client_ids)
        self._waiting.difference_update(client_ids)
        for client_id, reason in reasons.items():
            _log.warning("client_disconnect_failed", client_id=client_id, reason=reason)
        note = next((f"client {client_id}: {reason}" for client_id, reason in reasons.items()), "")
        cut = PassResult(len(client_ids) - len(reasons), failed=len(reasons), note=note)
        self._pass.report_progress(cut)
        return cut

    def _compare_clocks(self, clients: Iterable["Client"]) -> None:
        """Warn where an event is dated after the moment at which its client was listed."""
        events = (client.last_event_at for client in clients)
        newest = max((event for event in events if event is not None), default=self._pass.now)
        now = self._pass.now + timedelta(seconds=time.monotonic() - self._started)
        if newest - now > MOST_CLOCK_DIFFERENCE and not _clock_warning_given.is_set():
            _clock_warning_given.set()
            _log.warning("clock_skew_detected", seconds=round((newest - now).total_seconds()))


def run(current: Pass) -> PassResult:
    """Disconnect the clients that have been inactive for too long.

    Raises PassError where the SSE service does not answer, and ClocksDiffer rather than trust
    a doubtful clock.
    """
    clock_guard.require_agreement(current)
    with _connect(current.settings) as service:
        return _Cleanup(current, service).run()


def preview(current: Pass) -> Preview:
    """List the clients that a pass would disconnect, the longest inactive first."""
    clock_guard.require_agreement(current)
    with _connect(current.settings) as service:
        cleanup = _Cleanup(current, service)
        due = [client for client in cleanup.clients() if cleanup.is_due(client)]
    due.sort(key=lambda client: client.last_active or current.now)
    rows = [
        {
            "client_id": client.id,
            "connected_at": client.connected_at,
            "last_event_at": client.last_event_at,
            "remote_addr": client.remote_addr,
        }
        for client in due[:PREVIEW_ROWS]
    ]
    return Preview(len(due), rows)


def _address(settings: config.Settings) -> str:
    return settings[ADDRESS]


def _check(settings: config.Settings) -> str:
    with _connect(settings) as service:
        return service.health()


def _connect(settings: config.Settings) -> "SseManagement":
    # gRPC writes to standard error, past our log, when a service goes away.
    config.environment_default("GRPC_VERBOSITY", "ERROR")
    # Only here: `toast list` loads every service and need not carry gRPC in memory.
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
    settings=(INACTIVE_TIMEOUT, ADDRESS, CALL_TIMEOUT),
    run=exclusive(run),
    preview=preview,
    remotes=(Remote("SSE service", _address, _check),),
)
