"""Work in threads beside a test."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from devservers.child_processes import PATIENCE


@contextmanager
def in_background(done: threading.Event, *work: Callable[[], object]) -> Iterator[None]:
    """Run each in a thread of its own until the block ends, which sets ``done``."""
    threads = [threading.Thread(target=each, daemon=True) for each in work]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        done.set()
        for thread in threads:
            thread.join(PATIENCE)
