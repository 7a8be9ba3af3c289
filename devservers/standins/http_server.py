"""An HTTP server on loopback, the base of the stand-ins: each connection on a thread of its own."""

from __future__ import annotations

import socket
import ssl
import sys
import threading
import traceback
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler
from socketserver import ThreadingTCPServer
from typing import Any

from devservers.child_processes import Server


class HttpServer(Server):
    """Serves in a `with` block, or from start() to stop(), which sets ``stopping``.

    ``handler`` answers the requests; ``connections`` counts the connections until now.
    """

    def __init__(
        self,
        handler: type[Handler],
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.connections = 0
        self.stopping = threading.Event()
        self._server = _Server(self, handler, host, port)
        self.port = int(self._server.server_address[1])
        shown = f"[{host}]" if ":" in host else host
        self.url = f"{'https' if tls else 'http'}://{shown}:{self.port}"
        if tls:
            self._server.socket = tls.wrap_socket(self._server.socket, server_side=True)

    def start(self) -> None:
        """Serve on its own thread."""
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()

    def stop(self) -> None:
        """Stop serving; requests that wait for ``stopping`` end."""
        self.stopping.set()
        self._server.shutdown()
        self._server.server_close()


class Handler(BaseHTTPRequestHandler):
    """Answers the requests of one connection by do_GET and do_POST."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Server

    @property
    def owner(self) -> Any:
        """The HttpServer, of its own class."""
        return self.server.owner

    def read(self) -> tuple[dict[str, str], bytes]:
        """The request's headers, names in lower case, and its body."""
        headers = {name.lower(): value for name, value in self.headers.items()}
        return headers, self.rfile.read(int(headers.get("content-length", 0)))

    def send_head(self, status: int, headers: Mapping[str, str]) -> None:
        """The status line and these headers."""
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()

    def reply(
        self, status: int, body: bytes = b"", headers: Mapping[str, str] | None = None
    ) -> None:
        """A whole reply; 204 has neither body nor length."""
        length = {} if status == 204 else {"Content-Length": str(len(body))}
        self.send_head(status, {**length, **(headers or {})})
        self.wfile.write(body if length else b"")

    def log_message(self, format: str, *values: object) -> None:
        """Log nothing: the server keeps the requests."""


# Not an HTTPServer, which resolves its own name: that may take long without a network.
class _Server(ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def __init__(self, owner: HttpServer, handler: type[Handler], host: str, port: int) -> None:
        self.owner = owner
        self.address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        super().__init__((host, port), handler)

    def get_request(self) -> tuple[Any, Any]:
        connection, address = super().get_request()
        self.owner.connections += 1
        return connection, address

    def handle_error(self, request: object, client_address: object) -> None:
        """Report errors, except connections that the client has closed."""
        if not isinstance(sys.exception(), OSError):
            traceback.print_exc()
