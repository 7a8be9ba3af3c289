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
from common.errors import LimitReached, PassError, naming_limits
from common.events.messages import KafkaUnavailable
from common.logging.redaction import redact
from common.scheduling import grants
from common.scheduling.scheduler import Remote
from common.scheduling.service import Service

# Results are cached for FRESH_SECONDS.
FRESH_SECONDS = 2.0
# The longest that a request waits for them: less than the endpoint gives it.
WAIT_SECONDS = 4.0
# Limit for PostgreSQL to respond once connected, and for each other server to accept.
ANSWER_SECONDS = 3.0


class Readiness:
    """Checks PostgreSQL, Kafka and the remote servers of the enabled schedulers.

    The checks run on a thread of their own, which ends with them.
    """

    def __init__(self, service: Service, settings: Settings, database: Database) -> None:
        self._service = service
        self._settings = settings
        self._database = database
        self._enabled = [each for each in service.schedulers if settings[each.enabled]]
        self._tables = grants.accesses(self._enabled)
        self._thread: threading.Thread | None = None
        self._began_at = self._ended_at = float("-inf")
        self._asking = ""
        self._faults: list[str] = []

    def faults(self) -> list[str] | None:
        """One line for each server that is not reachable; None while they are asked.

        Returns at once. Only one thread may call it, and again until the result is not None.
        """
        now = time.monotonic()
        is_running = self._thread is not None and self._thread.is_alive()
        if not is_running and now - self._ended_at > FRESH_SECONDS:
            self._start()
            return None
        if is_running and now - self._began_at < WAIT_SECONDS:
            return None
        waiting = [f"{self._asking}: no answer within {WAIT_SECONDS:g} s"] if self._asking else []
        return [*self._faults, *waiting]

    def _start(self) -> None:
        self._began_at, self._faults = time.monotonic(), []
        self._thread = threading.Thread(target=self._check, name="readiness", daemon=True)
        try:
            with naming_limits():
                self._thread.start()
        except LimitReached as limit:
            self._faults = [f"this worker: {limit}"]
            self._ended_at = time.monotonic()

    def _check(self) -> None:
        try:
            for name, faults in self._checks():
                self._asking = name
                self._faults += (f"{name}: {fault}" for fault in faults)
            self._asking = ""
        finally:
            self._ended_at = time.monotonic()

    def _checks(self) -> Iterator[tuple[str, Iterator[str]]]:
        """The name of each server, and its faults."""
        yield "PostgreSQL", self._postgres()
        yield "Kafka", self._kafka()
        remotes = (remote for scheduler in self._enabled for remote in scheduler.remotes)
        for remote in dict.fromkeys(remotes):
            yield remote.name, self._remote(remote)

    def _postgres(self) -> Iterator[str]:
        try:
            with self._database.connect_for(ANSWER_SECONDS) as connection:
                migrations.require(connection, self._tables, may_apply=False)
        except (psycopg.Error, PassError) as error:
            yield redact(advised(str(error), error))

    def _kafka(self) -> Iterator[str]:
        if not self._service.topics:
            return
        faults = []
        for broker in self._settings[config.KAFKA_BROKERS]:
            fault = unreachable(broker)
            if not fault:
                yield from self._brokers()
                return  # librdkafka gets the other brokers from this one
            faults.append(fault)
        yield "; ".join(faults)

    def _brokers(self) -> Iterator[str]:
        """Connect as the publisher does, to each broker at the address that it advertises."""
        # Imported here so that a worker without a broker in reach does not load librdkafka.
        from common.events import cluster

        try:
            found = cluster.connect(self._settings, ANSWER_SECONDS)
        except KafkaUnavailable as error:
            yield redact(str(error))
        else:
            yield from (redact(str(fault)) for fault in found.faults)

    def _remote(self, remote: Remote) -> Iterator[str]:
        if fault := unreachable(remote.address(self._settings)):
            yield fault


def unreachable(address: str) -> str:
    """Why a connection to host:port fails; "" if it succeeds."""
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host.strip("[]"), int(port)), ANSWER_SECONDS).close()
    except OSError as error:
        return f"{address}: {error.strerror or error}"
    return ""
