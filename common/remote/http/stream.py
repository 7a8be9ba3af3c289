"""A connected socket, with or without TLS, whose every step keeps to a deadline."""

import select
import socket
import ssl
import threading
from contextlib import suppress

from common.remote.http.deadline import Deadline

_PIECE_BYTES = 16 * 1024
# Read while a request is still sent; what comes then is an answer, and its beginning is enough.
_MOST_EARLY_BYTES = 64 * 1024


class Stream:
    """Reads and writes until ``deadline``, which each exchange sets anew.

    Only the thread of the exchange uses it, except for ``cut``.
    """

    def __init__(self, connected: socket.socket, deadline: Deadline) -> None:
        self._socket = connected
        self._buffer = bytearray()
        self._lock = threading.Lock()
        self._is_open = True
        self.deadline = deadline

    def start_tls(self, context: ssl.SSLContext, host: str) -> None:
        """Shake hands; the certificate must be for ``host``, a name or an address."""
        with self._lock:
            # This closes the plain socket's object, not the connection.
            self._socket = context.wrap_socket(
                self._socket, server_hostname=host, do_handshake_on_connect=False
            )
        assert isinstance(self._socket, ssl.SSLSocket)
        self._socket.settimeout(self.deadline.left)
        self._socket.do_handshake()

    @property
    def is_quiet(self) -> bool:
        """Whether nothing was received that is not read, not even an end."""
        return not self._buffer and not self._poll(select.POLLIN, 0.0)

    def send(self, data: bytes) -> bool:
        """Send all, or as much as the other side takes before it gives its final answer.

        Returns whether that was all. Raises OSError; an answer may have come all the same.
        """
        self._socket.setblocking(False)
        unsent = memoryview(data)
        while unsent:
            try:
                unsent = unsent[self._socket.send(unsent) :]
            except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
                if not self._can_go_on():
                    return False
        return True

    def line(self, most: int) -> bytes:
        """The next line with its end; less at the end of the data, or if it is longer."""
        seen = 0
        while (end := self._buffer.find(b"\n", seen, most)) < 0 and len(self._buffer) < most:
            seen = len(self._buffer)
            if not self._fill():
                break
        return self._take(end + 1 if end >= 0 else most)

    def some(self, most: int) -> bytes:
        """Some of the next ``most`` bytes, b"" at the end of the data."""
        if not self._buffer:
            self._fill()
        return self._take(most)

    def cut(self) -> None:
        """End all use of the connection, from any thread."""
        with self._lock, suppress(OSError):
            if self._is_open:
                # Not that of SSLSocket, which changes what the other thread is using.
                socket.socket.shutdown(self._socket, socket.SHUT_RDWR)

    def close(self) -> None:
        """Close the connection."""
        with self._lock:
            self._is_open = False
            self._socket.close()

    def _can_go_on(self) -> bool:
        """Wait until more can be sent; False if there is an answer that needs no more."""
        reads = select.POLLIN if len(self._buffer) < _MOST_EARLY_BYTES else 0
        seconds = self.deadline.left
        ready = self._poll(select.POLLOUT | reads, seconds)
        if ready & reads:
            try:
                self._buffer += (received := self._socket.recv(_PIECE_BYTES))
            except (BlockingIOError, ssl.SSLWantReadError):
                return True
            except OSError:
                return False
            # The status of a final answer begins with 2 to 5; one with 1 asks for the rest.
            return bool(received) and bytes(self._buffer[9:10]) in (b"", b"1")
        return True

    def _poll(self, events: int, seconds: float) -> int:
        poll = select.poll()
        poll.register(self._socket, events)
        return next((ready for _, ready in poll.poll(seconds * 1000)), 0)

    def _fill(self) -> bool:
        self._socket.settimeout(self.deadline.left)
        received = self._socket.recv(_PIECE_BYTES)
        self._buffer += received
        return bool(received)

    def _take(self, most: int) -> bytes:
        taken = bytes(self._buffer[:most])
        del self._buffer[:most]
        return taken
