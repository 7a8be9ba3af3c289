"""`toast web` as a process, and a client that measures it.

The client is at the Unix socket on the same machine: its times are those of the server, with a
connection for each request, as a browser has.
"""

from __future__ import annotations

import http.client
import socket
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from devservers.child_processes import PATIENCE
from testing.database import TestDatabase
from testing.processes import Process, environment


@dataclass(frozen=True, slots=True)
class Site:
    """The page of one database."""

    database: TestDatabase
    process: Process
    socket: str

    def get(self, page: str) -> float:
        """Ask for a page as page.js does; returns the milliseconds until the last byte is here."""
        began = time.perf_counter()
        client = http.client.HTTPConnection("localhost")
        client.sock = socket.socket(socket.AF_UNIX)
        client.sock.settimeout(PATIENCE)
        client.sock.connect(self.socket)
        client.request("GET", page, headers={"X-Refresh": "1"})
        answer = client.getresponse()
        text = answer.read()
        client.close()
        assert answer.status in (200, 404), f"{page}: {answer.status} {text[:500]!r}"
        return 1000 * (time.perf_counter() - began)


@contextmanager
def serving(database: TestDatabase) -> Iterator[Site]:
    """The page of this database, at a socket."""
    with tempfile.TemporaryDirectory(prefix="toast-web-") as folder:
        path = f"{folder}/web.sock"
        settings = {"WEB_LISTEN": path, "WEB_SECRET_FILE": f"{folder}/secret"}
        with Process("workers", "web", env=environment(database, **settings)) as process:
            process.wait_for("page_opened")
            yield Site(database, process, path)
