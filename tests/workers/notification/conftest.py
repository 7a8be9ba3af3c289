"""Fixtures of notification-retry: its stand-in for Discord, and a pass over its rows."""

from collections.abc import Iterator

import pytest

from devservers.standins.discord import DiscordServer
from testing.database import TestDatabase
from tests.workers.notification.notifications import Retry, quick_server


@pytest.fixture
def server() -> Iterator[DiscordServer]:
    with DiscordServer() as server:
        yield server


@pytest.fixture
def retry(database: TestDatabase, server: DiscordServer) -> Retry:
    return Retry(database, server)


@pytest.fixture
def quick_retry(database: TestDatabase, monkeypatch: pytest.MonkeyPatch) -> Iterator[Retry]:
    """With a hundredth of Discord's limits."""
    with quick_server(monkeypatch, 0.01) as server:
        yield Retry(database, server)
