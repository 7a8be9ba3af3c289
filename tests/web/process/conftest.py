"""Fixtures of the page's tests."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    """An empty folder whose name is short enough for the path of a socket."""
    with tempfile.TemporaryDirectory(prefix="toast-web-") as name:
        yield Path(name)
