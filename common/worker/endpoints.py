"""Serves /metrics, /healthz and /readyz on 127.0.0.1.

Blocks in accept(): no timer, no polling. If the port is taken, that is logged and tried again; the
worker runs without it.
"""

import errno
import socketserver
import sys
import threading
from collections.abc import Callable, Mapping
from socketserver import BaseRequestHandler
from typing import Any, NamedTuple

from common.logging import logs
from common.logging.redaction import redact

_log = logs.logger(__name__)

HOST = "127.0.0.1"
PLAIN = "text/plain; charset=utf-8"
METRICS = "text/plain; version=0.0.4; charset=utf-8"


class Page(NamedTuple):
    """The response of one path."""

    text: str
    content_type: str = PLAIN
    status: int = 200


def verdict(faults: list[str]) -> Page:
    """200 and "ok", or 503 and a line for each fault."""
    if not faults:
        return Page("ok\n")
    text = "".join(f"{' '.join(redact(fault).split())}\n" for fault in faults)
    return Page(text, status=503)


class Endpoints:
    """Serves ``pages``, functions by path, on one port."""

    def __init__(self, port: int, pages: Mapping[str, Callable[[], Page]]) -> None:
        self._port = port
        self._pages = pages
        self._server: PageServer | None = None
        self._is_failure_logged = False

    def open(self) -> None:
        """Start to serve, unless started or the port is 0; if it fails, call it again later."""
        if self._server is not None or not self._port:
            return
        try:
            self._server = PageServer((HOST, self._port), self._pages)
        except OSError as error:
            self._log_port_taken(error)
            return
        threading.Thread(target=self._server.serve, name="endpoints", daemon=True).start()
        _log.info("metrics_port_opened", host=HOST, port=self._port)

    def _log_port_taken(self, error: OSError) -> None:
        if self._is_failure_logged:
            return
        self._is_failure_logged = True
        taken = error.errno == errno.EADDRINUSE
        reason = "it is in use by another process" if taken else error.strerror
        _log.error(
            "metrics_port_open_failed",
            port=self._port,
            reason=f"METRICS_PORT {self._port} cannot be opened: {reason}",
            action="set METRICS_PORT to a free port, or to 0 for none; tried again until then",
        )


class PageServer(socketserver.ThreadingMixIn, socketserver.TCPServer):
    """Serves each connection on its own thread."""

    # Not HTTPServer, which looks up its host name at the start. Reuse the address, so that a
    # restart need not wait for old connections to time out.
    allow_reuse_address = True
    daemon_threads = True
    block_on_close = False

    def __init__(self, address: tuple[str, int], pages: Mapping[str, Callable[[], Page]]) -> None:
        self._pages = pages
        super().__init__(address, _answer)

    def page(self, path: str) -> Page:
        """The page of a request's path."""
        make = self._pages.get(path.partition("?")[0])
        if make is None:
            return Page(f"not found; there are {', '.join(self._pages)}\n", status=404)
        return make()

    def serve(self) -> None:
        """Serve until the process ends; serve_forever would wake up twice a second."""
        while True:
            self.handle_request()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Log the error, unless the client has only disconnected."""
        if not isinstance(sys.exception(), OSError):
            _log.exception("metrics_request_failed")


def _answer(request: Any, client_address: Any, server: PageServer) -> BaseRequestHandler:
    # Imported here so that a worker without requests does not load http.server.
    from common.worker.request_handler import PageHandler

    return PageHandler(request, client_address, server)
