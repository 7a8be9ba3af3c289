"""Channels and failed notifications for tests of notification-retry, and one pass over them."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from psycopg.rows import DictRow

from common.scheduling.scheduler import PassResult
from devservers.child_processes import PATIENCE, poll_until
from devservers.standins.discord import DiscordServer
from testing.database import TestDatabase
from testing.passes import NOW, open_pass
from workers.notification import rate_limits
from workers.notification.notification_retry import SCHEDULER

TOKEN = "Zm9vYmFy-planted_token_of_a_webhook-c2VjcmV0"
LOOPBACK: dict[str, Any] = {"NOTIFICATION_ALLOW_LOOPBACK_HTTP": "true"}
AGO = NOW - timedelta(days=1)
INTERVAL = timedelta(minutes=5)
NOTHING = {"delivered": 0, "rate_limited": 0, "skipped": 0, "unreachable": 0, "left": 0}


def run(
    database: TestDatabase,
    *,
    at: datetime = NOW,
    stop: threading.Event | None = None,
    **settings: str,
) -> PassResult:
    """Run one pass that may call the stand-in, and waits as a worker's does."""
    stop = stop or threading.Event()
    given: dict[str, Any] = {"now": at, "stopping": stop.is_set, **LOOPBACK, **settings}
    with open_pass(database, SCHEDULER, **given) as current:
        return SCHEDULER.run(replace(current, wait=stop.wait))


def add_channel(database: TestDatabase, server: DiscordServer, name: str, **columns: Any) -> UUID:
    """A channel whose webhook has the same name as it."""
    values = {"webhook_url": server.webhook_url(name, TOKEN), **columns}
    channel: UUID = database.insert("notification_channels", name=name, **values)["id"]
    return channel


def add(database: TestDatabase, channel: UUID, event: str, **columns: Any) -> UUID:
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
    added = database.insert("notification_notifications", channel_id=channel, **values)
    notification: UUID = added["id"]
    return notification


def row(database: TestDatabase, notification: UUID) -> DictRow:
    return _row(database, "notification_notifications", notification)


def channel_row(database: TestDatabase, channel: UUID) -> DictRow:
    return _row(database, "notification_channels", channel)


def _row(database: TestDatabase, table: str, one: UUID) -> DictRow:
    with database.session() as session:  # which reads every time, be it infinity
        found = session.execute(f"SELECT * FROM {table} WHERE id = %s", (one,)).fetchone()
    assert found is not None
    return found


def attempts(database: TestDatabase) -> list[DictRow]:
    return database.query("SELECT * FROM notification_attempts ORDER BY created_at")


def details(**counts: int) -> dict[str, int]:
    return {**NOTHING, **counts}


def until(done: Callable[[], bool]) -> None:
    assert poll_until(done, PATIENCE), "it did not happen"


def quicker(monkeypatch: pytest.MonkeyPatch, scale: float) -> None:
    """Let the limits that the client keeps by itself be as much shorter as the stand-in's."""
    for name in ("WEBHOOK_SECONDS", "CHANNEL_SECONDS", "ALL_SECONDS"):
        monkeypatch.setattr(rate_limits, name, getattr(rate_limits, name) * scale)
