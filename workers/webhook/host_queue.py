"""Due deliveries by host: the hosts take turns, so that a slow one does not delay the others."""

from collections import Counter, deque
from collections.abc import Iterable
from uuid import UUID

MOST_AT_ONE_HOST = 2


class HostQueue:
    """Ids of due deliveries. A host with MOST_AT_ONE_HOST requests in flight is not free."""

    def __init__(self) -> None:
        self._waiting: dict[str, deque[UUID]] = {}
        self._in_flight: Counter[str] = Counter()

    def refill(self, rows: Iterable[tuple[str, UUID]]) -> None:
        """Replace the contents by these hosts and ids, in the order to send each host's ids."""
        self._waiting = {}
        for host, row in rows:
            self._waiting.setdefault(host, deque()).append(row)

    @property
    def free_host(self) -> str | None:
        """The host whose turn it is of those that are free and have a delivery; or None."""
        return next((host for host in self._waiting if self._is_free(host)), None)

    @property
    def hosts(self) -> set[str]:
        """The hosts that have a delivery, or a request in flight."""
        return self._waiting.keys() | self._in_flight.keys()

    def pop(self) -> UUID | None:
        """Take out the next id whose host is free; None if there is none."""
        host = self.free_host
        if host is None:
            return None
        ids = self._waiting.pop(host)
        row = ids.popleft()
        if ids:
            self._waiting[host] = ids  # at the end: its next turn is after the others'
        return row

    def started(self, host: str) -> None:
        """Count a request to this host until it has ``ended``."""
        self._in_flight[host] += 1

    def ended(self, host: str) -> None:
        """A request to this host is no longer in flight."""
        self._in_flight -= Counter((host,))  # also removes a zero

    def _is_free(self, host: str) -> bool:
        return self._in_flight[host] < MOST_AT_ONE_HOST
