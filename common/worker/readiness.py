"""Checks whether the servers that a worker needs are reachable now."""

import socket
import threading
import time
from collections.abc import Iterator

import psycopg

from common import config
from common.config import Settings
from common.database import migrations
from common.database.advice import advised
from common.database.connection import Database
from common.errors import PassError
from common.events.messages import KafkaUnavailable
from common.logging.redaction import redact
from common.scheduling import grants
from common.scheduling.scheduler import Service

# Results are cached for FRESH_SECONDS.
FRESH_SECONDS = 2.0
# Limit for PostgreSQL to respond once connected, and for each other server to accept.
ANSWER_SECONDS = 3.0


class Readiness:
    """Checks PostgreSQL, Kafka and the remote servers of the enabled schedulers."""

    def __init__(self, service: Service, settings: Settings, database: Database) -> None:
        self._service = service
        self._settings = settings
        self._database = database
        self._tables = grants.accesses(
            [each for each in service.schedulers if settings[each.enabled]]
        )
        self._lock = threading.Lock()
        self._asked_at = float("-inf")
        self._faults: list[str] = []

    def faults(self) -> list[str]:
        """One line for each server that is not reachable; takes some seconds at most."""
        with self._lock:
            if time.monotonic() - self._asked_at > FRESH_SECONDS:
                self._faults = [*self._postgres(), *self._kafka(), *self._remotes()]
                self._asked_at = time.monotonic()
            return self._faults

    def _postgres(self) -> Iterator[str]:
        try:
            with self._database.connect_for(ANSWER_SECONDS) as connection:
                migrations.require(connection, self._tables, may_apply=False)
        except (psycopg.Error, PassError) as error:
            yield f"PostgreSQL: {redact(advised(str(error), error))}"

    def _kafka(self) -> Iterator[str]:
        if not self._service.topics:
            return
        faults = []
        for broker in self._settings[config.KAFKA_BROKERS]:
            fault = unreachable(broker)
            if not fault:
                yield from self._kafka_login()
                return  # librdkafka gets the other brokers from this one
            faults.append(fault)
        yield f"Kafka: {'; '.join(faults)}"

    def _kafka_login(self) -> Iterator[str]:
        """Connect as the publisher does, where a broker that can be reached may refuse it."""
        if self._settings[config.KAFKA_SECURITY_PROTOCOL] == "plaintext":
            return
        # Imported here so that a worker that has not published does not load librdkafka.
        from common.events import kafka_client

        try:
            kafka_client.connect(self._settings, ANSWER_SECONDS)
        except KafkaUnavailable as error:
            yield f"Kafka: {redact(str(error))}"

    def _remotes(self) -> Iterator[str]:
        needed = (
            remote
            for scheduler in self._service.schedulers
            if self._settings[scheduler.enabled]
            for remote in scheduler.remotes
        )
        for remote in dict.fromkeys(needed):
            if fault := unreachable(remote.address(self._settings)):
                yield f"{remote.name}: {fault}"


def unreachable(address: str) -> str:
    """Why a connection to host:port fails; "" if it succeeds."""
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host.strip("[]"), int(port)), ANSWER_SECONDS).close()
    except OSError as error:
        return f"{address}: {error.strerror or error}"
    return ""
