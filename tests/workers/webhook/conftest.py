"""Fixtures: receivers of webhooks on loopback, which a test may give a `secret`."""

from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from devservers.standins.webhook_receiver import WebhookReceiver


@pytest.fixture
def receiver() -> Iterator[WebhookReceiver]:
    with WebhookReceiver() as receiver:
        yield receiver


@pytest.fixture
def receivers() -> Iterator[list[WebhookReceiver]]:
    """Five, each at a host of its own: a pass treats them independently."""
    with ExitStack() as stack:
        hosts = [f"127.0.0.{number}" for number in range(1, 6)]
        yield [stack.enter_context(WebhookReceiver(host=host)) for host in hosts]
