"""The servers that campaigns are played on, started when one is first needed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import Any, Self, TypeVar

from devservers.kafka import KafkaServer
from devservers.postgres import PostgresServer
from testing.database import TestDatabase, create_template, fresh_database

T = TypeVar("T")


class Arena:
    """One PostgreSQL and one Apache Kafka; campaigns are played on it one after another.

    Whoever stops, freezes or kills one of them has it running again when the round ends.
    """

    def __init__(self, *, durable: bool = False) -> None:
        """``durable`` has PostgreSQL wait for the disk at every commit."""
        self._durable = durable
        self._servers = ExitStack()
        self._postgres: PostgresServer | None = None
        self._kafka: KafkaServer | None = None
        self._made: dict[str, Any] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._servers.close()

    @property
    def postgres(self) -> PostgresServer:
        """The server, with the template that `database` copies."""
        if self._postgres is None:
            self._postgres = self._servers.enter_context(PostgresServer(durable=self._durable))
            create_template(self._postgres)
        return self._postgres

    @property
    def kafka(self) -> KafkaServer:
        """The broker. Raises Unavailable where none can run."""
        if self._kafka is None:
            self._kafka = self._servers.enter_context(KafkaServer())
        return self._kafka

    def once(self, name: str, make: Callable[[], T]) -> T:
        """What a campaign makes for all its rounds: made when it is first asked for."""
        if name not in self._made:
            self._made[name] = make()
        made: T = self._made[name]
        return made

    def enter(self, server: AbstractContextManager[T]) -> T:
        """Start something that ends with the arena."""
        return self._servers.enter_context(server)

    @contextmanager
    def database(self) -> Iterator[TestDatabase]:
        """A database with the live tables and ours, empty; dropped when the block ends."""
        with fresh_database(self.postgres) as database:
            yield database
