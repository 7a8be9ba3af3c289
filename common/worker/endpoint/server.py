"""Serves pages to a few clients at a time, all on one thread.

Sockets do not block, so clients cost no thread, however many connect and however slowly they send
or read. Without a client the thread waits in poll(): no timer.
"""

import select
import socket
import struct
import time
from collections.abc import Callable, Iterator, Mapping
from typing import NoReturn

from common.logging import logs
from common.worker.endpoint.page import Page
from common.worker.endpoint.request import Refused, Request, parse

_log = logs.logger(__name__)

MOST_CONNECTIONS = 16
# From accept to the client's end of the connection; then it is cut.
CONNECTION_SECONDS = 5.0
# The time between two looks whether a page that was not ready is.
LOOK_SECONDS = 0.02
_CHUNK_BYTES = 8 * 1024

_BUSY = Page("too many connections at a time\n", status="503 Service Unavailable")
# close() drops what is not sent yet, instead of leaving it to the kernel for minutes.
_DROP_UNSENT = struct.pack("ii", 1, 0)

# Returns at once: the page, or None if it is not ready.
MakePage = Callable[[], Page | None]


class PageServer:
    """Answers the requests that name one of ``hosts``, with ``pages``, functions by path."""

    def __init__(
        self, listener: socket.socket, pages: Mapping[str, MakePage], hosts: frozenset[str]
    ) -> None:
        self._listener = listener
        self._pages = pages
        self._hosts = hosts
        self._connections: list[_Connection] = []
        self._accepts_at = 0.0
        listener.setblocking(False)

    def serve(self) -> NoReturn:
        """Serve until the process ends."""
        while True:
            ready = self._wait()
            for connection in self._connections[:]:
                if connection.events == 0 or connection.client.fileno() in ready:
                    connection.advance()
                if connection.is_over():
                    connection.client.close()
                    self._connections.remove(connection)
            if self._listener.fileno() in ready:
                self._accept()

    def _wait(self) -> set[int]:
        """The sockets on which there is something to do."""
        poll = select.poll()
        deadlines = [connection.deadline for connection in self._connections]
        now = time.monotonic()
        if now >= self._accepts_at:
            poll.register(self._listener, select.POLLIN)
        else:
            deadlines.append(self._accepts_at)
        for connection in self._connections:
            if connection.events:
                poll.register(connection.client, connection.events)
            else:
                deadlines.append(now + LOOK_SECONDS)
        wait = max(0.0, min(deadlines) - now) * 1000 + 1 if deadlines else None
        return {descriptor for descriptor, _ in poll.poll(wait)}

    def _accept(self) -> None:
        try:
            client, _ = self._listener.accept()
        except BlockingIOError:
            return  # the client has gone
        except OSError as error:
            # It would be ready again at once, and fail again.
            self._accepts_at = time.monotonic() + CONNECTION_SECONDS
            _log.warning("metrics_accept_failed", reason=error.strerror)
            return
        client.setblocking(False)
        if len(self._connections) < MOST_CONNECTIONS:
            self._connections.append(_Connection(client, self._steps(client)))
        else:
            _turn_away(client)

    def _steps(self, client: socket.socket) -> Iterator[int]:
        """Serve one request; yields what to wait for: poll()'s event, or 0 for the page."""
        received, answer = b"", None
        while answer is None:
            yield select.POLLIN
            if not (chunk := client.recv(_CHUNK_BYTES)):
                return
            received += chunk
            try:
                if request := parse(received):
                    while (page := self._page(request)) is None:
                        yield 0
                    answer = page.response(is_head=request.method == "HEAD")
            except Refused as refused:
                answer = refused.args[0].response()
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _DROP_UNSENT)
        while answer:
            yield select.POLLOUT
            answer = answer[client.send(answer) :]
        client.shutdown(socket.SHUT_WR)
        # Closed with bytes unread, the client could lose the answer.
        yield select.POLLIN
        while client.recv(_CHUNK_BYTES):
            yield select.POLLIN

    def _page(self, request: Request) -> Page | None:
        if request.host not in self._hosts:
            raise Refused(
                "421 Misdirected Request",
                "the Host header names none of localhost, 127.0.0.1, [::1] and METRICS_HOSTS",
            )
        if request.method not in ("GET", "HEAD"):
            raise Refused("501 Not Implemented", "expected GET or HEAD")
        make = self._pages.get(request.target.partition("?")[0])
        if make is None:
            raise Refused("404 Not Found", f"not found; there are {', '.join(self._pages)}")
        try:
            return make()
        # A defect of a page must not end the thread that serves the others.
        except Exception:
            _log.exception("metrics_request_failed")
            raise Refused("500 Internal Server Error", "failed; the log has the reason") from None


class _Connection:
    """A client, and how far it has been served."""

    def __init__(self, client: socket.socket, steps: Iterator[int]) -> None:
        self.client = client
        self.deadline = time.monotonic() + CONNECTION_SECONDS
        self._steps = steps
        self.events: int | None = next(steps)

    def advance(self) -> None:
        """Take the next step."""
        try:
            self.events = next(self._steps, None)
        except OSError:
            self.events = None  # the client has gone

    def is_over(self) -> bool:
        """Whether it is served, or its time is over."""
        return self.events is None or time.monotonic() >= self.deadline


def _turn_away(client: socket.socket) -> None:
    with client:
        try:
            client.send(_BUSY.response())
            client.shutdown(socket.SHUT_WR)
            client.recv(_CHUNK_BYTES)
        except OSError:
            return  # it has gone, or has sent nothing yet
