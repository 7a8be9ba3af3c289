"""Checks that the threads of a worker are alive and make progress."""

import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING

from common.logging import logs
from common.scheduling.loop import Loop

if TYPE_CHECKING:
    from common.worker.publisher_thread import PublisherThread

_log = logs.logger(__name__)


class ThreadWatch:
    """Watches the loops of one worker and its publisher, if it has one."""

    def __init__(
        self, loops: Sequence[Loop], publisher: "PublisherThread | None", stopping: threading.Event
    ) -> None:
        self._loops = loops
        self._publisher = publisher
        self._stopping = stopping

    @property
    def threads(self) -> list[threading.Thread]:
        """Every thread that must live until the stop."""
        publisher = [self._publisher.thread] if self._publisher else []
        return [*(loop.thread for loop in self._loops), *publisher]

    def died(self) -> list[threading.Thread]:
        """The threads that are not alive."""
        return [thread for thread in self.threads if not thread.is_alive()]

    def faults(self) -> list[str]:
        """One line for each thread that has died or made no progress for too long."""
        if self._stopping.is_set():
            return []  # threads end now
        faults = [f"the thread {thread.name} has died" for thread in self.died()]
        stalled = [loop.name for loop in self._loops if loop.stalled()]
        if self._publisher and self._publisher.stalled():
            stalled.append("publisher")
        return faults + [f"{name} has made no progress for too long" for name in stalled]

    def abort_stalled(self) -> list[str]:
        """Abort the connections of stalled threads; returns the names of their schedulers."""
        if self._publisher and self._publisher.stalled():
            _log.error("publisher_stalled")
            self._publisher.abort_connection()
        stalled = [loop for loop in self._loops if loop.runner.stalled()]
        for loop in stalled:
            _log.error("pass_stalled", scheduler=loop.name)
            loop.runner.abort_connection()
        return [loop.name for loop in stalled]
