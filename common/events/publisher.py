"""The publisher: sends events from the outbox to Kafka, and deletes those that Kafka has stored.

An advisory lock allows one publisher per database and service: two would break the order of a key.
Each round reads from the oldest event: an event that was committed late has a lower id than events
already sent, and a stored position would skip it.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import psycopg

from common import failpoints, metrics
from common.config import TOAST_MIGRATE, Settings
from common.database import migrations, own_tables
from common.database.connection import Database
from common.database.error_classification import reason, server_fault
from common.database.session import Session
from common.events.envelope import headers
from common.events.messages import Failure, KafkaUnavailable, Outgoing
from common.events.outbox import Outbox, StoredEvent
from common.logging import logs

if TYPE_CHECKING:
    from common.events.producer import EventProducer

_log = logs.logger(__name__)

BATCH_EVENTS = 2_000
MOST_TRIES = 5
# Keys held back behind a refused event; with more, the round ends and the next begins.
MOST_HELD_KEYS = 10_000

_NO_REPORT = Failure("no delivery report in time", refused=False)


@dataclass(frozen=True, slots=True)
class Published:
    """What one round did.

    ``left`` events still wait, because of ``reason``; ``elsewhere``: another process is publishing.
    """

    published: int = 0
    set_aside: int = 0
    left: int = 0
    reason: str = ""
    elsewhere: bool = False


class Publisher:
    """Publishes the events of one service. Not thread-safe."""

    def __init__(self, settings: Settings, database: Database) -> None:
        self._settings = settings
        self._database = database
        self._service = settings.service
        self._producer: EventProducer | None = None
        self.connection: Session | None = None

    def drain(self, *, stopping: Callable[[], bool]) -> Published:
        """Publish until no event can be published or ``stopping()`` is true.

        Raises psycopg.Error or PassError if the database fails; Kafka's failures are in the result.
        """
        connection = self._open()
        outbox = Outbox(connection, self._service)
        with connection.try_lock(f"toast-outbox/{self._service}") as is_ours:
            if is_ours:
                return _Round(outbox, self._kafka, self._service).run(stopping)
        left = outbox.waiting()
        reason = "another process is publishing" if left else ""
        return Published(left=left, reason=reason, elsewhere=bool(left))

    def close(self) -> None:
        """Close both connections; the next drain opens them again."""
        self.disconnect()
        if self._producer is not None:
            self._producer.close()

    def disconnect(self) -> None:
        """Close the database connection, after an error or while idle."""
        if self.connection is not None:
            self.connection.close()
            self.connection = None

    def _kafka(self) -> "EventProducer":
        if self._producer is None:
            # Imported here so that a worker that has not published does not load librdkafka.
            from common.events import kafka_client
            from common.events.producer import EventProducer

            client = kafka_client.configuration(self._settings)
            self._producer = EventProducer(client, f"toast-{self._service}")
        return self._producer

    def _open(self) -> Session:
        if self.connection is None or self.connection.closed:
            self.connection = self._database.connect()
            may_apply = self._settings[TOAST_MIGRATE]
            migrations.require(self.connection, own_tables.PUBLISHING, may_apply=may_apply)
        return self.connection


class _Round:
    """One round over the whole outbox, in order."""

    def __init__(
        self, outbox: Outbox, producer: Callable[[], "EventProducer"], service: str
    ) -> None:
        self._outbox = outbox
        self._producer = producer
        self._service = service
        # Topics and keys held back, because an earlier event of theirs must be first.
        self._held: set[tuple[str, str]] = set()
        self._published = 0
        self._set_aside = 0
        self._reason = ""

    def run(self, stopping: Callable[[], bool]) -> Published:
        after = 0
        while not stopping() and not self._reason and len(self._held) < MOST_HELD_KEYS:
            events, after = self._read(after)
            if not after:
                break
            while events and not stopping() and not self._reason:
                events = self._send_first_of_each_key(events, stopping)
        left = self._outbox.waiting() if self._reason or self._held else 0
        return Published(self._published, self._set_aside, left, self._reason)

    def _read(self, after: int) -> tuple[list[StoredEvent], int]:
        """The next events and the last id among them, or 0 if none is left.

        In some encodings, text without an equivalent in UTF-8 can be stored. Such an event is set
        aside at once, because it would block the read of all others.
        """
        try:
            events = self._outbox.read(after=after, limit=BATCH_EVENTS)
            return events, events[-1].id if events else 0
        except (psycopg.DataError, ValueError) as error:
            if server_fault(error):
                raise
        events, numbers = [], self._outbox.numbers(after=after, limit=BATCH_EVENTS)
        for number in numbers:
            try:
                events += self._outbox.read(after=number - 1, limit=1)
            except (psycopg.DataError, ValueError) as error:
                self._outbox.set_aside_unread(number, reason(error))
                self._set_aside += 1
                _log.error("event_set_aside", outbox_id=number, reason=reason(error))
        return events, numbers[-1] if numbers else 0

    def _send_first_of_each_key(
        self, events: list[StoredEvent], stopping: Callable[[], bool]
    ) -> list[StoredEvent]:
        """Send at most one event per key, to keep the order of each key; return the rest."""
        sending: dict[tuple[str, str], StoredEvent] = {}
        later: list[StoredEvent] = []
        for event in events:
            place = (event.topic, event.key)
            if event.is_postponed or place in self._held:
                self._held.add(place)
            elif place in sending:
                later.append(event)
            else:
                sending[place] = event
        if sending:
            self._send(list(sending.values()), stopping)
        return later

    def _send(self, events: list[StoredEvent], stopping: Callable[[], bool]) -> None:
        try:
            reports = self._reports(events, stopping)
        except KafkaUnavailable as error:
            self._reason = str(error)
            return
        failpoints.reach("reported")
        stored = [event for event in events if reports.get(event.id, _NO_REPORT) is None]
        self._outbox.delete([event.id for event in stored])
        for topic, number in Counter(event.topic for event in stored).items():
            metrics.PUBLISHED.labels(self._service, topic).inc(number)
        self._published += len(stored)
        for event in events:
            if failure := reports.get(event.id, _NO_REPORT):
                metrics.PUBLISH_FAILURES.labels(self._service, event.topic).inc()
                self._failed(event, failure)

    def _reports(
        self, events: list[StoredEvent], stopping: Callable[[], bool]
    ) -> dict[int, Failure | None]:
        """Send events together; send those with a shared refusal again, one by one."""
        outgoing = [self._outgoing(event) for event in events]
        reports = self._producer().send(outgoing, stopping=stopping)
        for message in outgoing:
            failure = reports.get(message.id)
            if failure and failure.shared and len(outgoing) > 1 and not stopping():
                try:
                    reports |= self._producer().send([message], stopping=stopping)
                except KafkaUnavailable:
                    break  # the events stored so far must be deleted
        return reports

    def _failed(self, event: StoredEvent, failure: Failure) -> None:
        if not failure.refused:
            self._reason = failure.reason
        elif failure.of_topic or event.tries + 1 < MOST_TRIES:
            self._outbox.postpone(event, failure.reason)
            metrics.RETRIES.labels(self._service, "event").inc()
            self._held.add((event.topic, event.key))
        else:
            self._outbox.set_aside(event, failure.reason)
            self._set_aside += 1
            _log.error(
                "event_set_aside",
                topic=event.topic,
                outbox_id=event.id,
                event_id=event.event_id,
                reason=failure.reason,
            )

    def _outgoing(self, event: StoredEvent) -> Outgoing:
        about = headers(self._service, event.topic, event.event_id, event.occurred_at)
        return Outgoing(event.id, event.topic, event.key, event.payload, about)
