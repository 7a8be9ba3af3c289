"""The threads that a worker needs until its stop: the loops, and the publisher if it has one."""

import threading
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from common.logging import logs
from common.scheduling.loop import Loop

if TYPE_CHECKING:
    from common.worker.publisher_thread import PublisherThread

_log = logs.logger(__name__)

# Of the time of a stop: for publishing the events of the last batches, and for closing.
PUBLISH_SECONDS = 2.5
CLOSE_SECONDS = 0.5


class WorkerThreads:
    """Starts, watches and stops them."""

    def __init__(
        self, loops: Sequence[Loop], publisher: "PublisherThread | None", stopping: threading.Event
    ) -> None:
        """``stopping`` is the event that ends the loops and their passes."""
        self._loops = loops
        self._publishers = [publisher] if publisher else []
        self._all: list[Loop | PublisherThread] = [*loops, *self._publishers]
        self._stopping = stopping

    def start(self) -> None:
        """Start all of them."""
        for each in self._all:
            each.start()

    def died(self) -> list[str]:
        """The names of the threads that have ended."""
        return [each.thread.name for each in self._all if not each.thread.is_alive()]

    def faults(self) -> list[str]:
        """One line for each thread that has died or made no progress for too long."""
        if self._stopping.is_set():
            return []  # threads end now
        stalled = [each.thread.name for each in self._all if each.stalled()]
        return [
            *(f"the thread {name} has died" for name in self.died()),
            *(f"{name} has made no progress for too long" for name in stalled),
        ]

    def failures(self) -> list[str]:
        """Why the worker is not ready otherwise: it stops, a scheduler fails lastingly, or events
        wait."""
        lasting = {loop.name: loop.runner.lasting_failure for loop in self._loops}
        return [
            *(["the worker is stopping"] if self._stopping.is_set() else []),
            *(f"{name}: {failure}" for name, failure in lasting.items() if failure),
            *(f"events wait: {each.fault}" for each in self._publishers if each.fault),
        ]

    def abort_stalled(self) -> list[str]:
        """Abort the connections of stalled threads; returns the names of their schedulers."""
        for publisher in self._publishers:
            if publisher.stalled():
                _log.error("publisher_stalled")
                publisher.abort_connection()
        stalled = [loop for loop in self._loops if loop.runner.heartbeat.stalled()]
        for loop in stalled:
            _log.error("pass_stalled", scheduler=loop.name)
            loop.runner.abort_connection()
        return [loop.name for loop in stalled]

    def stop(self, seconds: float) -> bool:
        """Stop the passes first, because they fill the outbox, then the publisher.

        Returns after at most ``seconds``: True if every thread has ended.
        """
        deadline = time.monotonic() + seconds
        self._stopping.set()
        for loop in self._loops:
            loop.wake()
        _join(self._loops, deadline - PUBLISH_SECONDS - CLOSE_SECONDS)
        for loop in self._loops:
            loop.runner.abort_connection()
        for publisher in self._publishers:
            publisher.stop(PUBLISH_SECONDS)
        _join(self._publishers, deadline)
        for publisher in self._publishers:
            publisher.abort_connection()
        return len(self.died()) == len(self._all)


def _join(each: "Sequence[Loop] | Sequence[PublisherThread]", deadline: float) -> None:
    for one in each:
        one.thread.join(max(0.0, deadline - time.monotonic()))
