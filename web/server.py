"""The HTTP server: waitress, with limits that slow clients cannot get around.

A connection gets one response, and is cut REQUEST_SECONDS after it was accepted, however slowly
the client sends or reads. More than MOST_CONNECTIONS wait until one ends.
"""

import pwd
import socket
import struct
import time
from typing import Any

from flask import Flask
from waitress.adjustments import Adjustments
from waitress.channel import HTTPChannel
from waitress.server import BaseWSGIServer
from waitress.task import ErrorTask, WSGITask

from web import errors
from web.access.gate import MOST_BODY_BYTES
from web.access.login import PEER

MOST_CONNECTIONS = 32
REQUEST_SECONDS = 10.0
# Of the loop: how late a connection may be cut.
_TURN_SECONDS = 1
_THREADS = 4

# Of what is larger, nothing is read. The application refuses what is over its own limit first.
_MOST_READ_BYTES = 16 * MOST_BODY_BYTES
_MOST_HEADER_BYTES = 16 * 1024
# close() drops what is not sent yet, instead of leaving it to the kernel for minutes.
_DROP_UNSENT = struct.pack("ii", 1, 0)
_CREDENTIALS = struct.Struct("3i")


class _Task(WSGITask):
    """A request for the application."""

    def get_environment(self) -> dict[str, Any]:
        environ: dict[str, Any] = super().get_environment()
        if self.channel.user is not None:
            environ[PEER] = _name(self.channel.user)
        return environ

    def build_response_header(self) -> bytes:
        # So that idle connections cannot use up those that there are.
        self.request.headers["CONNECTION"] = "close"
        return bytes(super().build_response_header())


class _Refusal(ErrorTask):
    """A request that is none."""

    def execute(self) -> None:
        error = self.request.error
        answer = errors.response(self.channel.server.application, error.code, error.reason)
        body = answer.get_data()
        self.status = answer.status
        self.response_headers.extend(answer.headers.items())
        self.set_close_on_finish()
        self.content_length = len(body)
        self.write(body)


class _Channel(HTTPChannel):
    """One connection; ``user`` is the id of the user at the other end of a Unix socket."""

    task_class = _Task
    error_task_class = _Refusal

    def __init__(self, server: Any, client: socket.socket, *arguments: Any, **more: Any) -> None:
        self.deadline = time.monotonic() + REQUEST_SECONDS
        self.user = _user_behind(client) if client.family == socket.AF_UNIX else None
        super().__init__(server, client, *arguments, **more)

    def cut(self) -> None:
        """End it at once."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _DROP_UNSENT)
        self.handle_close()


class PageServer(BaseWSGIServer):
    """Serves an application at a socket that listens, until its process ends."""

    channel_class = _Channel

    def __init__(self, app: Flask, listener: socket.socket) -> None:
        limits = Adjustments(
            sockets=[listener],
            threads=_THREADS,
            # waitress counts the listener, and the pipe by which threads wake the loop.
            connection_limit=MOST_CONNECTIONS + 2,
            asyncore_loop_timeout=_TURN_SECONDS,
            asyncore_use_poll=True,
            max_request_body_size=_MOST_READ_BYTES,
            max_request_header_size=_MOST_HEADER_BYTES,
            ident="toast-workers",
            # The application reads none of them.
            clear_untrusted_proxy_headers=False,
            log_socket_errors=False,
        )
        self._turned_at = time.monotonic()
        about = (listener.family, listener.type, listener.proto, None)
        super().__init__(app, _sock=listener, adj=limits, sockinfo=about, bind_socket=False)

    def getsockname(self) -> tuple[str, str]:
        """What the application could see as SERVER_NAME and SERVER_PORT; it takes Host instead."""
        return "localhost", ""

    def fix_addr(self, address: Any) -> tuple[str, int]:
        """The address of a client; a Unix socket has none."""
        return address[:2] if isinstance(address, tuple) else ("", 0)

    def readable(self) -> bool:
        """Called in every turn of the loop."""
        self._turned_at = time.monotonic()
        for channel in list(self.active_channels.values()):
            if self._turned_at >= channel.deadline:
                channel.cut()
        return bool(super().readable())

    def turned_within(self, seconds: float) -> bool:
        """Whether the loop has turned in so many seconds; it does about once a second."""
        return time.monotonic() - self._turned_at <= seconds

    def stop(self, seconds: float) -> None:
        """Accept nothing more, and wait for the requests under way; the loop still runs."""
        end = time.monotonic() + seconds
        self.accepting = False
        self.task_dispatcher.shutdown(timeout=seconds)
        while time.monotonic() < end and any(
            channel.total_outbufs_len for channel in list(self.active_channels.values())
        ):
            time.sleep(0.02)


def _user_behind(client: socket.socket) -> int:
    credentials = client.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    _, user, _ = _CREDENTIALS.unpack(credentials)
    return int(user)


def _name(user: int) -> str:
    try:
        return pwd.getpwuid(user).pw_name
    except KeyError:  # of a directory that does not answer
        return f"uid {user}"
