"""Fixtures of the worker's tests."""

import pytest

from devservers.child_processes import free_port


@pytest.fixture
def port() -> int:
    """A free port for the worker's metrics."""
    return free_port()
