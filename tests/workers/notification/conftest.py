"""Fixtures of notification-retry: its stand-in for Discord."""

from collections.abc import Iterator

import pytest

from devservers.standins.discord import DiscordServer


@pytest.fixture
def server() -> Iterator[DiscordServer]:
    with DiscordServer() as server:
        yield server
