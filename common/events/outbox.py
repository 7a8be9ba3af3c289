"""The outbox tables: events that wait for Kafka, and events set aside."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import psycopg
from psycopg.rows import args_row, class_row

from common.database.advice import cut
from common.database.error_classification import REASON_CHARACTERS, server_fault
from common.database.error_classification import reason as why
from common.database.session import Connection, Session
from common.events.envelope import rfc3339
from common.logging import logs
from common.logging.redaction import redact

_log = logs.logger(__name__)

_READ = f"""
SELECT id, topic, key, event_id::text, {rfc3339("occurred_at")} AS occurred_at, payload, tries,
       coalesce(retry_at > clock_timestamp(), false) AS is_postponed
FROM toast_outbox
WHERE service = %(service)s AND id > %(after)s
ORDER BY id
LIMIT %(limit)s"""

_NUMBERS = """
SELECT id FROM toast_outbox WHERE service = %(service)s AND id > %(after)s
ORDER BY id LIMIT %(limit)s"""

# Statistics of a queue are always out of date: if it was empty at ANALYZE, the planner ignores the
# index, and every read of a backlog would sort all of it.
BY_INDEX = {"enable_bitmapscan": "off", "enable_seqscan": "off", "enable_sort": "off"}

_DELETE = "DELETE FROM toast_outbox WHERE service = %(service)s AND id = ANY (%(ids)s)"

# Retries after 2, 4, 8 and 16 seconds, and so on, at most 256 where the topic refuses all.
_POSTPONE = """
UPDATE toast_outbox
SET tries = tries + 1, error = %(error)s,
    retry_at = clock_timestamp() + interval '1 second' * power(2, least(tries + 1, 8))
WHERE service = %(service)s AND id = %(id)s"""

_SET_ASIDE = """
WITH refused AS (
    DELETE FROM toast_outbox WHERE service = %(service)s AND id = %(id)s
    RETURNING id, service, topic, key, event_id, occurred_at, payload, tries
)
INSERT INTO toast_outbox_set_aside
       (id, service, topic, key, event_id, occurred_at, payload, tries, error, set_aside_at)
SELECT id, service, topic, key, event_id, occurred_at, payload, tries + 1, %(error)s,
       clock_timestamp()
FROM refused"""

_WAITING = "SELECT count(*) AS waiting FROM toast_outbox WHERE service = %(service)s"

# The oldest is the first by id, which has the index.
_OF_SERVICE = """
SELECT (SELECT count(*) FROM (
            SELECT FROM toast_outbox WHERE service = %(service)s LIMIT %(most)s
        ) AS counted) AS waiting,
       coalesce((SELECT extract(epoch FROM clock_timestamp() - occurred_at)
                 FROM toast_outbox WHERE service = %(service)s
                 ORDER BY id LIMIT 1), 0)::float AS age,
       (SELECT count(*) FROM toast_outbox_set_aside WHERE service = %(service)s) AS set_aside"""


# A tuple, as messages.Outgoing is; its fields are the columns of _READ.
class StoredEvent(NamedTuple):
    """An event in the outbox. ``occurred_at`` is RFC 3339 text; ``is_postponed``: it was refused,
    and its retry is not due."""

    id: int
    topic: str
    key: str
    event_id: str
    occurred_at: str
    payload: str
    tries: int
    is_postponed: bool


@dataclass(slots=True)
class Batch:
    """Events of the outbox, and the ``last`` id that was looked at, 0 if none; ``set_aside`` events
    could not be read."""

    events: list[StoredEvent]
    last: int = 0
    set_aside: int = 0


class Outbox:
    """The outbox of one service, over one connection."""

    def __init__(self, connection: Session, service: str) -> None:
        self._connection = connection
        self.service = service

    def read(self, *, after: int, limit: int) -> list[StoredEvent]:
        """The next events by id, after the id ``after``."""
        with (
            self._connection.begin(BY_INDEX, read_only=True),
            self._connection.cursor(row_factory=args_row(StoredEvent)) as cursor,
        ):
            cursor.execute(_READ, {"service": self.service, "after": after, "limit": limit})
            return cursor.fetchall()

    def read_batch(self, *, after: int, limit: int) -> Batch:
        """The same, without events that cannot be read, which are set aside.

        In some encodings, text without an equivalent in UTF-8 can be stored. It would block the
        read of all others.
        """
        try:
            events = self.read(after=after, limit=limit)
            return Batch(events, events[-1].id if events else 0)
        except (psycopg.DataError, ValueError) as error:
            if server_fault(error):
                raise
        batch = Batch([])
        for number in self._numbers(after, limit):
            batch.last = number
            try:
                batch.events += self.read(after=number - 1, limit=1)
            except (psycopg.DataError, ValueError) as error:
                self._set_aside(number, why(error))
                batch.set_aside += 1
        return batch

    def _numbers(self, after: int, limit: int) -> list[int]:
        values = {"service": self.service, "after": after, "limit": limit}
        with self._connection.begin(BY_INDEX, read_only=True):
            return [row["id"] for row in self._connection.execute(_NUMBERS, values)]

    def delete(self, ids: Sequence[int]) -> None:
        """Delete events that the broker has stored."""
        if ids:
            self._connection.execute(_DELETE, {"service": self.service, "ids": list(ids)})

    def postpone(self, event: StoredEvent, reason: str) -> None:
        """Retry a refused event later, with a back-off that grows with its tries."""
        self._connection.execute(_POSTPONE, self._refusal(event.id, reason))

    def set_aside(self, event: StoredEvent, reason: str) -> None:
        """Set an event aside with the reason, after its last try."""
        self._set_aside(event.id, reason, topic=event.topic, event_id=event.event_id)

    def _set_aside(self, number: int, reason: str, **fields: str) -> None:
        self._connection.execute(_SET_ASIDE, self._refusal(number, reason))
        _log.error("event_set_aside", **fields, outbox_id=number, reason=reason)

    def waiting(self) -> int:
        """The number of events that wait."""
        row = self._connection.execute(_WAITING, {"service": self.service}).fetchone()
        return row["waiting"] if row else 0

    def _refusal(self, number: int, reason: str) -> dict[str, Any]:
        error = cut(self._connection.storable(redact(reason)), REASON_CHARACTERS)
        return {"service": self.service, "id": number, "error": error}


@dataclass(frozen=True, slots=True)
class Waiting:
    """The outbox of one service; ``age`` of its oldest event is in seconds."""

    waiting: int
    age: float
    set_aside: int


def of_service(connection: Connection, service: str, most: int) -> Waiting:
    """Count the waiting events of one service, at most ``most``, and those set aside."""
    with connection.cursor(row_factory=class_row(Waiting)) as cursor:
        values = {"service": service, "most": most}
        return cursor.execute(_OF_SERVICE, values).fetchone() or Waiting(0, 0.0, 0)


def of_services(connection: Session, services: Sequence[str], most: int) -> dict[str, Waiting]:
    """The same for each of these services, by the index whatever the statistics are."""
    with connection.begin(BY_INDEX, read_only=True):
        return {service: of_service(connection, service, most) for service in services}
