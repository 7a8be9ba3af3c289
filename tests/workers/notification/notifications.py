"""Channels and failed notifications for tests of notification-retry, and passes over them."""

from __future__ import annotations

import json
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from psycopg.rows import DictRow

from common.scheduling.preview import Preview
from common.scheduling.scheduler import PassResult
from devservers.child_processes import PATIENCE, poll_until
from devservers.standins.discord import DiscordRequest, DiscordServer
from testing import passes
from testing.database import TestDatabase
from testing.passes import NOW, open_pass
from workers.notification.discord import rate_limits
from workers.notification.notification_retry import SCHEDULER

NOTIFICATIONS, CHANNELS = "notification_notifications", "notification_channels"
TOKEN = "Zm9vYmFy-planted_token_of_a_webhook-c2VjcmV0"
LOOPBACK: dict[str, Any] = {"NOTIFICATION_ALLOW_LOOPBACK_HTTP": "true"}
AGO = NOW - timedelta(days=1)
INTERVAL = timedelta(minutes=5)
NOTHING = {"delivered": 0, "rate_limited": 0, "skipped": 0, "unreachable": 0, "left": 0}


class Retry:
    """Rows in the database, their webhooks at the stand-in, and passes of the scheduler."""

    def __init__(self, database: TestDatabase, server: DiscordServer) -> None:
        self.database, self.server = database, server
        self.order, self.delivered = server.order, server.delivered
        self._channels: dict[str, UUID] = {}

    def run(
        self, *, at: datetime = NOW, stop: threading.Event | None = None, **settings: Any
    ) -> PassResult:
        """Run one pass that may call the stand-in, and waits as a worker's does."""
        stop = stop or threading.Event()
        given: dict[str, Any] = {"now": at, "stopping": stop.is_set, **LOOPBACK, **settings}
        with open_pass(self.database, SCHEDULER, **given) as current:
            return SCHEDULER.work.run(replace(current, wait=stop.wait))

    @contextmanager
    def running(self, requests: int, **details: Any) -> Iterator[Future[PassResult]]:
        """A pass in the background, from when it has made so many requests until its end."""
        with ThreadPoolExecutor() as pool:
            passing = pool.submit(self.run, **details)
            until(lambda: len(self.server.requests) >= requests)
            yield passing

    @property
    def requests(self) -> list[DiscordRequest]:
        return self.server.requests

    def channel(self, name: str, **columns: Any) -> UUID:
        """The channel of this name, added if it is new; its webhook has the same name."""
        if name not in self._channels:
            values = {"webhook_url": self.server.webhook_url(name, TOKEN), **columns}
            self._channels[name] = self.database.insert(CHANNELS, name=name, **values)["id"]
        return self._channels[name]

    def add(self, channel: str, event: str, **columns: Any) -> UUID:
        """A notification that failed once; its event has this id."""
        payload = {"id": event, "type": "link.expired", "source": "link-service", "data": {"n": 1}}
        values: dict[str, Any] = {
            "event_id": event,
            "event_type": "link.expired",
            "event_payload": json.dumps(payload),
            "status": "failed",
            "attempt_count": 1,
            "last_error": "HTTP 500",
            "created_at": AGO,
            **columns,
        }
        added = self.database.insert(NOTIFICATIONS, channel_id=self.channel(channel), **values)
        notification: UUID = added["id"]
        return notification

    def add_many(self, channels: int, each: int) -> None:
        """Channels c1, c2, ... with so many failed notifications each, events c1-1, c1-2, ..."""
        for number in range(1, channels + 1):
            self.channel(f"c{number}")
        self.database.query(
            f"""
            INSERT INTO {NOTIFICATIONS} (channel_id, event_id, event_type, event_payload,
                discord_message_id, status, attempt_count, last_error, created_at, updated_at)
            SELECT id, name || '-' || n, 'link.expired',
                   json_build_object('id', name || '-' || n, 'data', json_build_object('n', n)),
                   '', 'failed', 1, '', now() + n * interval '1 s', now()
            FROM {CHANNELS}, generate_series(1, %s::int) AS n""",
            each,
        )

    def preview(self) -> Preview:
        return passes.preview(self.database, SCHEDULER, **LOOPBACK)

    def row(self, notification: UUID) -> DictRow:
        return self._row(NOTIFICATIONS, notification)

    def channel_row(self, name: str) -> DictRow:
        return self._row(CHANNELS, self.channel(name))

    def rows(self) -> list[DictRow]:
        return self.database.query(f"SELECT * FROM {NOTIFICATIONS} ORDER BY id")

    def attempts(self) -> list[DictRow]:
        return self.database.query("SELECT * FROM notification_attempts ORDER BY created_at")

    def failed_rows(self) -> list[DictRow]:
        return passes.failed_rows(self.database)

    def counts(self) -> dict[tuple[str, int], int]:
        """How many notifications there are by status and attempts."""
        return Counter((found["status"], found["attempt_count"]) for found in self.rows())

    def _row(self, table: str, one: UUID) -> DictRow:
        with self.database.session() as session:  # which reads every time, be it infinity
            found = session.execute(f"SELECT * FROM {table} WHERE id = %s", (one,)).fetchone()
        assert found is not None
        return found


@contextmanager
def quick_server(
    monkeypatch: pytest.MonkeyPatch, scale: float, **options: Any
) -> Iterator[DiscordServer]:
    """A stand-in with shorter limits, which the client knows."""
    for name in ("WEBHOOK_SECONDS", "CHANNEL_SECONDS", "ALL_SECONDS"):
        monkeypatch.setattr(rate_limits, name, getattr(rate_limits, name) * scale)
    with DiscordServer(scale=scale, **options) as server:
        yield server


def details(**counts: int) -> dict[str, int]:
    return {**NOTHING, **counts}


def until(done: Callable[[], bool]) -> None:
    assert poll_until(done, PATIENCE), "it did not happen"
