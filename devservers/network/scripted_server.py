"""A server on loopback that plays answers byte by byte, as no HTTP server would."""

from __future__ import annotations

import fcntl
import select
import socket
import ssl
import struct
import termios
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from devservers.child_processes import Server

# Closing with it sends a reset instead of an end.
_RESET = struct.pack("ii", 1, 0)
_HEAD_END = b"\r\n\r\n"
_POLL_SECONDS = 0.05
# A client that reads no more gets no more.
_ARRIVAL_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Script:
    """One answer: its ``pieces`` with ``pause`` seconds before each, and how it ends.

    ``reads`` is how much of the request comes first: "nothing", the "head", or "all" of it.
    ``end`` is "close", "reset", "stall" (silence until the client closes), or "repeat" (the last
    piece again and again).
    """

    pieces: Sequence[bytes]
    reads: str = "all"
    end: str = "close"
    pause: float = 0.0


class ScriptedServer(Server):
    """Plays ``script`` to each connection, one at a time; `heads` are those of the requests."""

    def __init__(self, script: Script | None = None, *, tls: ssl.SSLContext | None = None) -> None:
        self.script = script or Script(())
        self.heads: list[bytes] = []
        self._tls = tls
        self._stopping = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port: int = self._listener.getsockname()[1]
        self.url = f"{'https' if tls else 'http'}://127.0.0.1:{self.port}"
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        self._listener.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._listener.close()

    def _serve(self) -> None:
        while not self._stopping.is_set():
            with suppress(OSError):
                connection, _ = self._listener.accept()
                with connection:
                    self._play(connection)

    def _play(self, connection: Any) -> None:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if self._tls:
            connection = self._tls.wrap_socket(connection, server_side=True)
        with connection:
            script = self.script
            if script.reads != "nothing":
                self._read(connection, whole=script.reads == "all")
            for piece in script.pieces:
                time.sleep(script.pause)
                connection.sendall(piece)
            while script.end == "repeat" and not self._stopping.is_set():
                time.sleep(script.pause)
                connection.sendall(script.pieces[-1])
            if script.end == "stall":
                self._wait_for_end(connection)
            self._wait_for_arrival(connection)
            if script.end == "reset":
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)

    def _read(self, connection: socket.socket, *, whole: bool) -> None:
        received = b""
        while _HEAD_END not in received and (data := connection.recv(4096)):
            received += data
        head, _, body = received.partition(_HEAD_END)
        self.heads.append(head)
        length = head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0]
        missing = int(length or 0) - len(body)
        while whole and missing > 0 and (data := connection.recv(65536)):
            missing -= len(data)

    def _wait_for_arrival(self, connection: socket.socket) -> None:
        """Until all has arrived at the client's host: a reset throws away what is on the way."""
        poll = select.poll()
        poll.register(connection, 0)  # errors and the end are always reported
        until = time.monotonic() + _ARRIVAL_SECONDS
        while time.monotonic() < until and not poll.poll(0):
            if fcntl.ioctl(connection.fileno(), termios.TIOCOUTQ, bytes(4)) == bytes(4):
                return
            time.sleep(0.0005)

    def _wait_for_end(self, connection: socket.socket) -> None:
        connection.settimeout(_POLL_SECONDS)
        while not self._stopping.is_set():
            try:
                if not connection.recv(65536):
                    return
            except TimeoutError:
                continue
