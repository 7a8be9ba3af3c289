"""Fixtures of client-cleanup: its stand-in for the SSE service."""

from collections.abc import Iterator

import pytest

from devservers.standins.sse import SseServer


@pytest.fixture
def sse() -> Iterator[SseServer]:
    with SseServer() as server:
        yield server
