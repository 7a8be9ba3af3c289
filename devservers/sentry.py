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
# 28 days.
LONGEST_MINUTES = 40_320


class SentryServer(HttpServer):
    """``answer`` is the status of every reply; None means no reply until the server stops.

    ``bodies`` are the envelopes, unpacked; ``events`` and ``check_ins`` their items, in order. As
    Sentry does, it drops a check-in in silence if its monitor has a time over LONGEST_MINUTES.
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
                self._keep(json.loads(header)["type"], json.loads(item))
            self._grown.notify_all()

    def _keep(self, kind: str, item: dict[str, Any]) -> None:
        if kind == "event":
            self.events.append(item)
        elif _is_accepted(item["monitor_config"]):
            self.check_ins.append(item)

    def wait_for(self, condition: Callable[[], object]) -> None:
        """Wait until the condition is true; it is tested after each envelope."""
        with self._grown:
            assert self._grown.wait_for(condition, PATIENCE), (self.events, self.check_ins)


def _is_accepted(monitor: dict[str, Any]) -> bool:
    times = (monitor["schedule"]["value"], monitor["checkin_margin"], monitor["max_runtime"])
    return all(1 <= minutes <= LONGEST_MINUTES for minutes in times)


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
