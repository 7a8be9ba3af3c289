"""A stand-in for Sentry on loopback: receives envelopes and keeps their items.

with SentryServer() as sentry:
    Process("workers.link", env=environment(database, SENTRY_DSN=sentry.dsn))
    sentry.wait_for(lambda: sentry.events)
"""

from __future__ import annotations

import gzip
import json
import threading
from collections.abc import Callable
from typing import Any

from devservers.child_processes import PATIENCE
from devservers.standins.http_server import Handler, HttpServer

KEY = "0f1e2d3c4b5a69788796a5b4c3d2e1f0"


class SentryServer(HttpServer):
    """``answer`` is the status of every reply; None means no reply until the server stops.

    ``bodies`` are the envelopes, unpacked; ``events`` and ``check_ins`` their items, in order.
    """

    def __init__(self, *, answer: int | None = 200) -> None:
        self.answer = answer
        self.bodies: list[bytes] = []
        self.events: list[dict[str, Any]] = []
        self.check_ins: list[dict[str, Any]] = []
        self._grown = threading.Condition()
        super().__init__(_Handler)

    @property
    def dsn(self) -> str:
        return f"http://{KEY}@127.0.0.1:{self.port}/42"

    def take(self, path: str, body: bytes) -> None:
        """Read one envelope: a line of headers, then two lines for each item."""
        assert path == "/api/42/envelope/"
        _, *lines = body.splitlines()
        with self._grown:
            self.bodies.append(body)
            for header, item in zip(lines[::2], lines[1::2], strict=True):
                kind = json.loads(header)["type"]
                items = {"event": self.events, "check_in": self.check_ins}[kind]
                items.append(json.loads(item))
            self._grown.notify_all()

    def wait_for(self, condition: Callable[[], object]) -> None:
        """Wait until the condition is true; it is tested after each envelope."""
        with self._grown:
            assert self._grown.wait_for(condition, PATIENCE), (self.events, self.check_ins)


class _Handler(Handler):
    owner: SentryServer

    def do_POST(self) -> None:
        headers, body = self.read()
        if headers.get("content-encoding") == "gzip":
            body = gzip.decompress(body)
        self.owner.take(self.path, body)
        if self.owner.answer is None:
            self.owner.stopping.wait(PATIENCE)
            return
        self.reply(self.owner.answer)
