"""The socket that systemd opens for a unit of Type=notify, and what a process sent to it."""

import re
import socket
import time
from pathlib import Path

from devservers.child_processes import PATIENCE


class Listener:
    """A datagram socket at a path, and what came in so far."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.messages: list[str] = []
        # When the last sign of life came, on the monotonic clock.
        self.fed_at = 0.0
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(path))
        self._socket.settimeout(PATIENCE)

    def wait_for(self, pattern: str) -> str:
        """The next message of this shape; AssertionError if none comes."""
        while True:
            try:
                message = self._socket.recv(65536).decode()
            except TimeoutError:
                raise AssertionError((pattern, self.messages)) from None
            self.messages.append(message)
            if message == "WATCHDOG=1":
                self.fed_at = time.monotonic()
            if re.fullmatch(pattern, message):
                return message

    def close(self) -> None:
        self._socket.close()
