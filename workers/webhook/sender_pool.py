"""Sends deliveries on threads, with a limit per host, so that a slow host does not delay others.

The pass's thread uses the pool and gets the results through a queue: only that thread uses the
database.
"""

import queue
import threading
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from typing import Generic, Protocol, TypeVar
from uuid import UUID

from common.errors import PassError

MOST_AT_ONE_HOST = 2


class ForHost(Protocol):
    """A thing to send, with its host."""

    @property
    def host(self) -> str: ...


D = TypeVar("D", bound=ForHost)
R = TypeVar("R")


class SenderPool(Generic[D, R]):
    """Calls ``send`` on daemon threads, at most ``size`` of them at once."""

    def __init__(self, send: Callable[[D], R], size: int) -> None:
        self._send = send
        self._size = size
        self._at_host: Counter[str] = Counter()
        self.in_flight = 0
        self._done: queue.SimpleQueue[tuple[D, R | None]] = queue.SimpleQueue()

    @property
    def is_full(self) -> bool:
        return self.in_flight >= self._size

    def is_free(self, host: str) -> bool:
        """Whether this host may get one more request now."""
        return self._at_host[host] < MOST_AT_ONE_HOST

    def start(self, delivery: D) -> None:
        """Send one delivery on a thread; ``finished`` yields its result."""
        self._at_host[delivery.host] += 1
        self.in_flight += 1
        threading.Thread(
            target=self._run, args=(delivery,), name="webhook-sender", daemon=True
        ).start()

    def finished(self, seconds: float) -> Iterator[tuple[D, R]]:
        """Sent deliveries with their results; waits at most ``seconds`` for the first.

        Raises PassError if ``send`` has raised an error; it should return it.
        """
        while self.in_flight:
            try:
                delivery, result = self._done.get(timeout=seconds)
            except queue.Empty:
                return
            seconds = 0.0
            self._at_host -= Counter((delivery.host,))  # also removes a zero
            self.in_flight -= 1
            if result is None:
                raise PassError("a thread that delivers has died; the log says of what")
            yield delivery, result

    def _run(self, delivery: D) -> None:
        result: R | None = None
        try:
            result = self._send(delivery)
        finally:  # the thread's excepthook logs an error; without an entry the pass would hang
            self._done.put((delivery, result))


class HostQueue:
    """Ids of due deliveries by host; the hosts take turns."""

    def __init__(self) -> None:
        self._waiting: dict[str, deque[UUID]] = {}

    def refill(self, rows: Iterable[tuple[str, UUID]]) -> None:
        """Replace the contents by these hosts and ids, in the order to send each host's ids."""
        self._waiting = {}
        for host, row in rows:
            self._waiting.setdefault(host, deque()).append(row)

    def has_any(self, is_free: Callable[[str], bool]) -> bool:
        """Whether a delivery waits for a host that is free."""
        return any(map(is_free, self._waiting))

    def pop(self, is_free: Callable[[str], bool]) -> UUID | None:
        """Take out the next id whose host is free; None if there is none."""
        host = next(filter(is_free, self._waiting), None)
        if host is None:
            return None
        ids = self._waiting.pop(host)
        row = ids.popleft()
        if ids:
            self._waiting[host] = ids  # at the end: its next turn is after the others'
        return row
