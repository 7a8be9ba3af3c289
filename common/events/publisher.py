"""The publisher: sends events from the outbox to Kafka, and deletes those that Kafka has stored.

An advisory lock allows one publisher per database and service: two would break the order of a key.
"""

from typing import TYPE_CHECKING

from common.config import TOAST_EVENTS_PER_SECOND, TOAST_MIGRATE, Settings
from common.database import migrations, own_tables
from common.database.connection import Database
from common.database.session import Session
from common.events.outbox import Outbox
from common.events.pace import Pace
from common.events.round import Published, Round, Send, Stop

if TYPE_CHECKING:
    from common.events.producer import EventProducer


class Publisher:
    """Publishes the events of one service. Not thread-safe."""

    def __init__(self, settings: Settings, database: Database) -> None:
        self._settings = settings
        self._database = database
        self._service = settings.service
        self._pace = Pace(settings[TOAST_EVENTS_PER_SECOND])
        self._producer: EventProducer | None = None
        self.connection: Session | None = None

    def drain(self, stop: Stop) -> Published:
        """Publish until no event can be published, or until the stop.

        Raises psycopg.Error or PassError if the database fails; Kafka's failures are in the result.
        """
        connection = self._open()
        outbox = Outbox(connection, self._service)
        with connection.try_lock(f"toast-outbox/{self._service}") as is_ours:
            if is_ours:
                return Round(outbox, self._send(stop), self._pace, stop).run()
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

    def _send(self, stop: Stop) -> Send:
        return lambda messages: self._kafka().send(messages, stopping=stop.requested)

    def _kafka(self) -> "EventProducer":
        if self._producer is None:
            # Imported here so that a worker that has not published does not load librdkafka.
            from common.events import kafka_client
            from common.events.producer import EventProducer
            from common.events.topics import TopicForm

            client, form = kafka_client.configuration(self._settings), TopicForm.of(self._settings)
            self._producer = EventProducer(client, f"toast-{self._service}", form)
        return self._producer

    def _open(self) -> Session:
        if self.connection is None or self.connection.closed:
            self.connection = self._database.connect()
            may_apply = self._settings[TOAST_MIGRATE]
            migrations.require(self.connection, own_tables.PUBLISHING, may_apply=may_apply)
        return self.connection
