"""Opens the endpoint of a worker: a port of METRICS_BIND, or a Unix socket.

If that fails, it is logged and tried again; the worker runs without it.
"""

import errno
import os
import socket
import threading
from collections.abc import Iterable, Mapping
from pathlib import Path

from common.logging import logs
from common.worker.endpoint.server import MakePage, PageServer

_log = logs.logger(__name__)

# The names by which only this machine is meant. A page of a stranger's website, whose name leads to
# 127.0.0.1, sends its own.
_LOCAL_HOSTS = frozenset({"127.0.0.1", "localhost", "[::1]"})
_PROBE_SECONDS = 1.0


class Endpoint:
    """Serves ``pages``, functions by path, at one address."""

    def __init__(
        self, bind: str, port: int, hosts: Iterable[str], pages: Mapping[str, MakePage]
    ) -> None:
        """The parameters are METRICS_BIND, METRICS_PORT and METRICS_HOSTS."""
        self._bind = bind
        self._port = port
        self._hosts = _LOCAL_HOSTS.union(hosts)
        self._pages = pages
        self._is_open = False
        self._is_failure_logged = False

    def open(self) -> None:
        """Start to serve, unless started or the port is 0; if it fails, call it again later."""
        if self._is_open or not self._port:
            return
        try:
            server = PageServer(listener(self._bind, self._port), self._pages, self._hosts)
        except OSError as error:
            self._log_failure(error)
            return
        self._is_open = True
        threading.Thread(target=server.serve, name="endpoint", daemon=True).start()
        _log.info("metrics_port_opened", host=self._bind, port=self._port)

    def _log_failure(self, error: OSError) -> None:
        if self._is_failure_logged:
            return
        self._is_failure_logged = True
        reason = os.strerror(error.errno) if error.errno else str(error)
        if error.errno == errno.EADDRINUSE:
            reason = "it is in use by another process"
        _log.error(
            "metrics_port_open_failed",
            host=self._bind,
            port=self._port,
            reason=f"METRICS_PORT {self._port} of METRICS_BIND {self._bind} cannot be opened: "
            f"{reason}",
            action="set METRICS_BIND to an address of this machine or a path where this user may "
            "make a socket, METRICS_PORT to a free port, or to 0 for none; tried again until then",
        )


def listener(bind: str, port: int) -> socket.socket:
    """A socket that listens at an address, or at the path of a Unix socket. Raises OSError."""
    if not bind.startswith("/"):
        family = socket.AF_INET6 if ":" in bind else socket.AF_INET
        # It sets SO_REUSEADDR, so that a restart need not wait for old connections to time out.
        return socket.create_server((bind, port), family=family)
    _remove_left(bind)
    opened = socket.socket(socket.AF_UNIX)
    try:
        opened.bind(bind)
        opened.listen()
    except OSError:
        opened.close()
        raise
    return opened


def _remove_left(path: str) -> None:
    """Remove the socket of an earlier process, on which nobody listens."""
    if Path(path).is_socket():
        with socket.socket(socket.AF_UNIX) as probe:
            probe.settimeout(_PROBE_SECONDS)
            try:
                probe.connect(path)
            except ConnectionRefusedError:
                os.unlink(path)
