"""The servers of campaigns and benchmarks, started at their first use."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import Any, Self, TypeVar

from devservers.kafka import KafkaServer
from devservers.postgres import PostgresServer
from testing.database import TestDatabase, create_template, fresh_database

T = TypeVar("T")


class Arena:
    """One PostgreSQL and one Apache Kafka, for one campaign after another.

    A round that stops, freezes or kills a server must have it running again at its end.
    """

    def __init__(self, *, durable: bool = False) -> None:
        """``durable``: PostgreSQL waits for the disk at every commit."""
        self._durable = durable
        self._servers = ExitStack()
        self._postgres: PostgresServer | None = None
        self._kafka: KafkaServer | None = None
        self._cache: dict[str, Any] = {}

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
        """The broker. Raises Unavailable if it cannot run here."""
        if self._kafka is None:
            self._kafka = self._servers.enter_context(KafkaServer())
        return self._kafka

    def once(self, name: str, make: Callable[[], T]) -> T:
        """The result of ``make``, which is called once per name in the life of the arena."""
        if name not in self._cache:
            self._cache[name] = make()
        value: T = self._cache[name]
        return value

    def topic(self, name: str) -> None:
        """Create a topic, once in the life of the arena."""
        self.once(f"topic: {name}", lambda: self.kafka.create_topic(name))

    def enter(self, server: AbstractContextManager[T]) -> T:
        """Start a server that ends with the arena."""
        return self._servers.enter_context(server)

    @contextmanager
    def database(self) -> Iterator[TestDatabase]:
        """A database with the live tables and ours, empty; dropped at the end of the block."""
        with fresh_database(self.postgres) as database:
            yield database
