"""The outbox table: events that wait for the broker, and those that it refused for good."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from psycopg.rows import args_row, class_row

from common.database.advice import cut
from common.database.session import Connection, Session
from common.events.envelope import rfc3339
from common.logging.redaction import redact

_ERROR_CHARACTERS = 500

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

# The statistics of a queue are always out of date: analysed while it was empty, it looks too
# small for its index, and every read of a backlog would sort all of it.
_BY_INDEX = {"enable_bitmapscan": "off", "enable_seqscan": "off", "enable_sort": "off"}

_DELETE = "DELETE FROM toast_outbox WHERE service = %(service)s AND id = ANY (%(ids)s)"

# 2, 4, 8, 16 seconds between the tries.
_POSTPONE = """
UPDATE toast_outbox
SET tries = tries + 1, error = %(error)s,
    retry_at = clock_timestamp() + interval '1 second' * power(2, tries + 1)
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

_LIST = """
SELECT id, service, topic, key, event_id, occurred_at, tries, error, set_aside_at
FROM toast_outbox_set_aside
UNION ALL
SELECT id, service, topic, key, event_id, occurred_at, tries, error, NULL
FROM toast_outbox
ORDER BY set_aside_at NULLS LAST, service, id
LIMIT %(limit)s"""

_SUMMARY = """
SELECT (SELECT count(*) FROM toast_outbox) AS waiting,
       (SELECT min(occurred_at) FROM toast_outbox) AS oldest,
       (SELECT count(*) FROM toast_outbox_set_aside) AS set_aside"""

# The oldest is the first by its number, which is what the index is by.
_OF_SERVICE = """
SELECT (SELECT count(*) FROM (
            SELECT FROM toast_outbox WHERE service = %(service)s LIMIT %(most)s
        ) AS counted) AS waiting,
       coalesce((SELECT extract(epoch FROM clock_timestamp() - occurred_at)
                 FROM toast_outbox WHERE service = %(service)s
                 ORDER BY id LIMIT 1), 0)::float AS age,
       (SELECT count(*) FROM toast_outbox_set_aside WHERE service = %(service)s) AS set_aside"""

# Its id is older than that of any event that waits, so it goes out before them.
_RETRY = """
WITH retried AS (
    DELETE FROM toast_outbox_set_aside WHERE id = %(id)s
    RETURNING id, service, topic, key, event_id, occurred_at, payload
)
INSERT INTO toast_outbox (id, service, topic, key, event_id, occurred_at, payload)
SELECT * FROM retried
RETURNING id"""

_DROP = "DELETE FROM toast_outbox_set_aside WHERE id = %(id)s RETURNING id"

_IS_WAITING = "SELECT EXISTS (SELECT FROM toast_outbox WHERE id = %(id)s) AS waiting"


# A tuple, as messages.Outgoing is; its fields are the columns of _READ.
class StoredEvent(NamedTuple):
    """An event as the publisher reads it; ``occurred_at`` is RFC 3339 text, and ``is_postponed``
    says that it was refused and is not to be tried again yet."""

    id: int
    topic: str
    key: str
    event_id: str
    occurred_at: str
    payload: str
    tries: int
    is_postponed: bool


class Outbox:
    """One service's part of the outbox, over one connection."""

    def __init__(self, connection: Session, service: str) -> None:
        self._connection = connection
        self._service = service

    def read(self, *, after: int, limit: int) -> list[StoredEvent]:
        """The next events in order of their ids, beginning behind ``after``."""
        with (
            self._connection.begin(_BY_INDEX, read_only=True),
            self._connection.cursor(row_factory=args_row(StoredEvent)) as cursor,
        ):
            cursor.execute(_READ, {"service": self._service, "after": after, "limit": limit})
            return cursor.fetchall()

    def numbers(self, *, after: int, limit: int) -> list[int]:
        """The ids of the events that ``read`` would return."""
        values = {"service": self._service, "after": after, "limit": limit}
        with self._connection.begin(_BY_INDEX, read_only=True):
            return [row["id"] for row in self._connection.execute(_NUMBERS, values)]

    def delete(self, ids: Sequence[int]) -> None:
        """Forget events that the broker has stored."""
        if ids:
            self._connection.execute(_DELETE, {"service": self._service, "ids": list(ids)})

    def postpone(self, event: StoredEvent, reason: str) -> None:
        """Leave a refused event alone for a while, which grows with its tries."""
        self._connection.execute(_POSTPONE, self._refusal(event.id, reason))

    def set_aside(self, event: StoredEvent, reason: str) -> None:
        """Move an event that was refused for good out of the way, with its reason."""
        self.set_aside_unread(event.id, reason)

    def set_aside_unread(self, number: int, reason: str) -> None:
        """Do that with an event of which no more is known than its id."""
        self._connection.execute(_SET_ASIDE, self._refusal(number, reason))

    def waiting(self) -> int:
        """How many events wait."""
        row = self._connection.execute(_WAITING, {"service": self._service}).fetchone()
        return row["waiting"] if row else 0

    def _refusal(self, number: int, reason: str) -> dict[str, Any]:
        error = cut(self._connection.storable(redact(reason)), _ERROR_CHARACTERS)
        return {"service": self._service, "id": number, "error": error}


@dataclass(frozen=True, slots=True)
class Summary:
    """The outbox of all services of a database in three figures."""

    waiting: int
    oldest: datetime | None
    set_aside: int


@dataclass(frozen=True, slots=True)
class Waiting:
    """One service's part of the outbox; ``age`` is that of its oldest event, in seconds."""

    waiting: int
    age: float
    set_aside: int


def of_service(connection: Connection, service: str, most: int) -> Waiting:
    """Count what waits of one service, no further than ``most``."""
    with connection.cursor(row_factory=class_row(Waiting)) as cursor:
        values = {"service": service, "most": most}
        return cursor.execute(_OF_SERVICE, values).fetchone() or Waiting(0, 0.0, 0)


def summary(connection: Connection) -> Summary:
    """Count what waits and what is set aside."""
    with connection.cursor(row_factory=class_row(Summary)) as cursor:
        return cursor.execute(_SUMMARY).fetchone() or Summary(0, None, 0)


def listing(connection: Connection, limit: int) -> list[dict[str, Any]]:
    """Events set aside, the oldest first, then those that wait; at most ``limit``."""
    return connection.execute(_LIST, {"limit": limit}).fetchall()


def retry(connection: Connection, event: int) -> bool:
    """Put an event that was set aside back in its place; False if there is none."""
    return connection.execute(_RETRY, {"id": event}).fetchone() is not None


def drop(connection: Connection, event: int) -> bool:
    """Delete an event that was set aside, for good; False if there is none."""
    return connection.execute(_DROP, {"id": event}).fetchone() is not None


def is_waiting(connection: Connection, event: int) -> bool:
    """Whether this event waits to be published."""
    row = connection.execute(_IS_WAITING, {"id": event}).fetchone()
    return bool(row and row["waiting"])
