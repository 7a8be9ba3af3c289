"""Publishes the outbox after the passes of `toast once`, and counts their events that are left."""

import threading
import time
from collections.abc import Sequence
from datetime import datetime

import psycopg

from common.cli.once.report import Delivery, Left
from common.config import Settings
from common.database.advice import advised
from common.database.connection import Database
from common.database.run_history import Run
from common.database.session import Session
from common.errors import PassError
from common.events import unpublished
from common.events.outbox import Outbox
from common.logging.redaction import redact
from common.scheduling.observer import Observer
from common.scheduling.scheduler import Pass, PassResult, Scheduler

# How long to wait for a worker that is publishing now.
ELSEWHERE_SECONDS = 60.0
PAUSE_SECONDS = 0.2
COUNT_SECONDS = 2.0


class OwnEvents(Observer):
    """Watches the passes for the events that they write."""

    def __init__(self, schedulers: Sequence[Scheduler]) -> None:
        self.topics = [topic for scheduler in schedulers for topic in scheduler.topics]
        self.number = 0
        # The database's time at the start of the first pass; older events are others'.
        self.since: datetime | None = None

    def connected(self, run: Run, current: Pass) -> None:
        self.since = self.since or current.now

    def progressed(self, run: Run, done: PassResult, share: float | None) -> None:
        self.number += done.events


class Publishing:
    """Publishes the events of a service, and those of others that wait before them."""

    def __init__(
        self, settings: Settings, database: Database, own: OwnEvents, stop: threading.Event
    ) -> None:
        self._settings = settings
        self._database = database
        self._own = own
        self._stop = stop
        self._published = 0
        self._set_aside = 0
        self._reason = ""
        self._refusal = ""

    def run(self, *, wait: bool) -> None:
        """Publish the outbox once; ``wait`` for a worker that is publishing it now."""
        # Imported here so that a service without topics does not load the publisher.
        from common.events.publisher import Publisher
        from common.events.round import Stop

        publisher = Publisher(self._settings, self._database)
        deadline = time.monotonic() + (ELSEWHERE_SECONDS if wait else 0.0)
        is_elsewhere = True
        try:
            while is_elsewhere:
                done = publisher.drain(Stop(self._stop.is_set, self._stop.wait))
                self._published += done.published
                self._set_aside += done.set_aside
                self._reason, self._refusal = redact(done.reason), redact(done.refusal)
                is_elsewhere = done.elsewhere and time.monotonic() < deadline
                if is_elsewhere and self._stop.wait(PAUSE_SECONDS):
                    break
        except (psycopg.Error, PassError) as error:
            self._reason = redact(advised(str(error), error))
        finally:
            publisher.close()

    def result(self) -> Delivery:
        """What became of the events until now."""
        waiting, left = self._counts() if self._own.topics else (0, Left())
        return Delivery(self._published, self._set_aside, waiting, self._reason, left)

    def _counts(self) -> tuple[int | None, Left | None]:
        """The events of the service that wait, and what is left of the own ones; None: unknown."""
        try:
            with self._database.connect_for(COUNT_SECONDS) as connection:
                waiting = Outbox(connection, self._settings.service).waiting()
                return waiting, self._left(connection)
        except psycopg.Error:
            return None, None if self._own.number else Left()

    def _left(self, connection: Session) -> Left:
        own = self._own
        if not own.number or own.since is None:
            return Left()
        found = unpublished.count(connection, self._settings.service, own.topics, own.since)
        # Another process may have written more of them at the same time.
        number = min(own.number, found.number)
        refused = min(number, found.refused)
        return Left(number, refused, self._refusal if refused else self._reason)
