"""Notifies systemd of the state of a worker: sd_notify(3).

Without systemd (supervisord, terminal) every call does nothing.
"""

import contextlib
import socket

# If systemd hangs and its buffer is full, the worker must not wait.
SEND_SECONDS = 1.0


class SystemdNotifier:
    """The socket that systemd reads, for a unit of Type=notify."""

    def __init__(self, address: str) -> None:
        """``address`` is a path, or an abstract name after an @; "" without systemd."""
        self._address = f"\0{address[1:]}" if address.startswith("@") else address
        self._status = ""

    @property
    def is_enabled(self) -> bool:
        """True if systemd set NOTIFY_SOCKET."""
        return bool(self._address)

    def ready(self) -> None:
        """Send READY=1: the settings are valid and the threads run."""
        self._send("READY=1")

    def feed_watchdog(self) -> None:
        """Send WATCHDOG=1; systemd kills the process if it is missing for too long."""
        self._send("WATCHDOG=1")

    def stopping(self) -> None:
        """Send STOPPING=1: the stop has begun."""
        self._send("STOPPING=1")

    def status(self, line: str) -> None:
        """Show this line in `systemctl status`; sent only if it has changed."""
        if line != self._status:
            self._status = line
            self._send(f"STATUS={' '.join(line.split())}")

    def _send(self, message: str) -> None:
        if not self._address:
            return
        # A lost message is sent again; for READY and WATCHDOG systemd has deadlines of its own.
        with (
            contextlib.suppress(OSError),
            socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as listener,
        ):
            listener.settimeout(SEND_SECONDS)
            listener.sendto(message.encode(), self._address)
