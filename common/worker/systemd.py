"""What systemd is told of a worker that it started: sd_notify(3) in a few lines.

Where nobody listens - under supervisord, at a terminal - every call does nothing.
"""

import contextlib
import socket

# A datagram fits into the buffer of a systemd that is alive; one that hangs must not hold us up.
SEND_SECONDS = 1.0


class SystemdNotifier:
    """The socket that systemd reads, for a unit of Type=notify."""

    def __init__(self, address: str) -> None:
        """``address`` is a path, or an abstract name after an @; empty: nobody listens."""
        self._address = f"\0{address[1:]}" if address.startswith("@") else address
        self._status = ""

    @property
    def is_enabled(self) -> bool:
        """Whether anybody hears what it is told."""
        return bool(self._address)

    def ready(self) -> None:
        """The start is over: the settings are valid and the threads run."""
        self._send("READY=1")

    def feed_watchdog(self) -> None:
        """Put off the watchdog, which ends the process when this is not said in time."""
        self._send("WATCHDOG=1")

    def stopping(self) -> None:
        """The stop has begun."""
        self._send("STOPPING=1")

    def status(self, line: str) -> None:
        """Show this line in `systemctl status`; sent only when it is a new one."""
        if line != self._status:
            self._status = line
            self._send(f"STATUS={' '.join(line.split())}")

    def _send(self, message: str) -> None:
        if not self._address:
            return
        # What is lost is said again, and a missing READY or WATCHDOG has its own deadline there.
        with (
            contextlib.suppress(OSError),
            socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as listener,
        ):
            listener.settimeout(SEND_SECONDS)
            listener.sendto(message.encode(), self._address)
