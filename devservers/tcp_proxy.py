"""A TCP proxy that breaks, delays and hangs connections as a network does."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Iterator
from typing import Self


class TcpProxy:
    """Forwards connections on `port` of loopback to `target`, another port.

    A connection that hangs stays open: data of its client is acknowledged and dropped, as with a
    frozen server or a network that drops packets.
    """

    def __init__(self, target: int, port: int = 0) -> None:
        self._target = target
        self._wanted_port = port
        self._listener = socket.socket()
        self._connections: list[_Connection] = []
        self._traps: list[_Trap] = []
        self._thawed = threading.Event()
        self._thawed.set()
        # Additional seconds for each piece of data.
        self.delay = 0.0
        # What the clients get instead of what the server sends.
        self.replaced: dict[bytes, bytes] = {}

    def __enter__(self) -> Self:
        self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._listener.bind(("127.0.0.1", self._wanted_port))
        self._listener.listen(64)
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *error: object) -> None:
        _close(self._listener)
        self.thaw()
        self.cut()

    @property
    def port(self) -> int:
        port: int = self._listener.getsockname()[1]
        return port

    def cut(self) -> None:
        """Close all present connections; new ones work."""
        for connection in self._connections:
            connection.close()

    def hang(self) -> None:
        """Let all present connections hang; new ones work."""
        for connection in self._connections:
            connection.hangs = True

    def freeze(self) -> None:
        """Hold back all data, in both directions, on every connection, until `thaw`."""
        self._thawed.clear()

    def thaw(self) -> None:
        """Deliver the data held back, and continue."""
        self._thawed.set()

    def half_close(self) -> None:
        """Send the clients an end of data; the server still gets their data."""
        for connection in self._connections:
            with contextlib.suppress(OSError):
                connection.client.shutdown(socket.SHUT_WR)

    def hang_at(self, text: bytes) -> threading.Event:
        """Let the next connection hang whose client sends this text, which is not forwarded.

        The event is set when it hangs.
        """
        return self._set(_Trap(text, cuts=False))

    def cut_at(self, text: bytes) -> threading.Event:
        """Close the next connection whose client sends this text, which is not forwarded.

        The event is set when it is closed.
        """
        return self._set(_Trap(text, cuts=True))

    def lose_answer_to(self, text: bytes) -> threading.Event:
        """Close the next connection whose client sends this text, when the server replies.

        The text is forwarded, the reply is not. The event is set when it is closed.
        """
        return self._set(_Trap(text, cuts=True, forwards=True))

    def _set(self, trap: _Trap) -> threading.Event:
        self._traps.append(trap)
        return trap.sprung

    def _accept(self) -> None:
        with contextlib.suppress(OSError):  # the listener is closed in the end
            while True:
                client, _ = self._listener.accept()
                self._connect(client)

    def _connect(self, client: socket.socket) -> None:
        try:
            server = socket.create_connection(("127.0.0.1", self._target))
        except OSError:
            client.close()
            return
        connection = _Connection(client, server)
        self._connections.append(connection)
        for pump in (self._pump_to_server, self._pump_to_client):
            threading.Thread(target=pump, args=(connection,), daemon=True).start()

    def _pump_to_server(self, connection: _Connection) -> None:
        recent = b""
        for data in connection.read(connection.client):
            recent = recent[-1000:] + data
            for trap in [trap for trap in self._traps if trap.text in recent]:
                self._traps.remove(trap)
                if trap.forwards:
                    connection.answer_is_lost = trap.sprung
                    continue
                connection.hangs = True
                trap.sprung.set()
                if trap.cuts:
                    connection.close()
            self._delay()
            connection.forward(data, connection.server)

    def _pump_to_client(self, connection: _Connection) -> None:
        for data in connection.read(connection.server):
            if connection.answer_is_lost:
                connection.answer_is_lost.set()
                connection.close()
            self._delay()
            for sent, received in self.replaced.items():
                data = data.replace(sent, received)
            connection.forward(data, connection.client)

    def _delay(self) -> None:
        """Wait for the delay, and while frozen."""
        if self.delay:
            time.sleep(self.delay)
        self._thawed.wait()


class _Trap:
    def __init__(self, text: bytes, *, cuts: bool, forwards: bool = False) -> None:
        self.text = text
        self.cuts = cuts
        self.forwards = forwards
        self.sprung = threading.Event()


class _Connection:
    def __init__(self, client: socket.socket, server: socket.socket) -> None:
        self.client = client
        self.server = server
        self.hangs = False
        self.answer_is_lost: threading.Event | None = None

    def read(self, peer: socket.socket) -> Iterator[bytes]:
        """The data from one side until it closes; then the other side is closed too."""
        with contextlib.suppress(OSError):
            while data := peer.recv(65536):
                yield data
        if peer is self.client or not self.hangs:
            self.close()

    def forward(self, data: bytes, peer: socket.socket) -> None:
        if not self.hangs:
            with contextlib.suppress(OSError):
                peer.sendall(data)

    def close(self) -> None:
        _close(self.client)
        _close(self.server)


def _close(endpoint: socket.socket) -> None:
    # Without the shutdown, a thread blocked in recv or accept would stay blocked.
    with contextlib.suppress(OSError):
        endpoint.shutdown(socket.SHUT_RDWR)
    endpoint.close()
