"""The links for each side, and the check of their result."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from benchmarks.work import LINK_EXPIRATION
from testing.arena import Arena
from testing.database import TestDatabase
from testing.processes import environment
from testing.topics import ReceivedMessage, Topic
from workers.link.link_expiration import EXPIRED

_DUE = "link_links WHERE expires_at <= now()"


@dataclass(frozen=True, slots=True)
class Links:
    """``due`` links among as many that are not, and the topic of their events from now on."""

    due: int
    database: TestDatabase
    topic: Topic
    environment: dict[str, str]

    def switched_off(self) -> int:
        """How many of the due links are switched off."""
        return self.database.count(f"{_DUE} AND NOT is_active")

    def unannounced(self, messages: list[ReceivedMessage]) -> int:
        """How many of the due links have none of these messages."""
        due = {str(row["id"]) for row in self.database.query(f"SELECT id FROM {_DUE}")}
        return len(due - {message.key for message in messages})

    def check(self) -> None:
        """AssertionError unless every due link is switched off and announced once, and no other."""
        off = self.database.count("link_links WHERE NOT is_active")
        assert (self.switched_off(), off) == (self.due, self.due), off
        unannounced = self.unannounced(self.topic.read(self.due))
        assert unannounced == 0, f"{unannounced} of {self.due} links are not announced"


@contextmanager
def filled(arena: Arena, due: int) -> Iterator[Links]:
    """Links in their own database, dropped at the end of the block."""
    arena.topic(EXPIRED.topic)
    address = arena.kafka.address
    with LINK_EXPIRATION.rows(due).database(arena) as database:
        yield Links(due, database, Topic(address, EXPIRED.topic), environment(database, address))
