"""What operators see of the outbox tables of all services, and do with events set aside."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from psycopg.rows import class_row

from common.database.audit import Changed
from common.database.session import Connection, Session
from common.events import outbox

# Of one row, more events than these are a fault of their own.
MOST_OF_KEY = 20

_CHOSEN = """
    (%(ids)s::numeric[] IS NULL OR id = ANY (%(ids)s))
    AND (%(service)s::text IS NULL OR service = %(service)s)
    AND (%(topic)s::text IS NULL OR topic = %(topic)s)"""

_COLUMNS = "id, service, topic, key, event_id, occurred_at, tries, error"

_SET_ASIDE = f"""
SELECT {_COLUMNS}, set_aside_at FROM toast_outbox_set_aside
WHERE {_CHOSEN} ORDER BY set_aside_at, id"""

# By the primary key, which begins with the service: a full outbox is never counted as a whole.
_TOPICS = """
SELECT service, topic, count(*) AS waiting, min(occurred_at) AS oldest
FROM unnest(%(services)s::text[]) AS one (service)
CROSS JOIN LATERAL (
    SELECT topic, occurred_at FROM toast_outbox WHERE service = one.service
    ORDER BY id LIMIT %(most)s
) AS event
GROUP BY service, topic ORDER BY oldest"""

_WAITING = f"""
SELECT {_COLUMNS}, NULL::timestamptz AS set_aside_at FROM toast_outbox
WHERE {_CHOSEN} ORDER BY service, id"""

_ONE = f"""
SELECT {_COLUMNS}, set_aside_at, payload FROM toast_outbox_set_aside WHERE id = %(id)s
UNION ALL
SELECT {_COLUMNS}, NULL, payload FROM toast_outbox WHERE id = %(id)s"""

# The primary key begins with the service.
_OF_KEY = f"""
SELECT * FROM (
    SELECT id, topic, occurred_at, set_aside_at, error FROM toast_outbox_set_aside
    WHERE service = %(service)s AND topic = ANY (%(topics)s) AND key = %(key)s
    UNION ALL
    SELECT id, topic, occurred_at, NULL, NULL FROM (
        SELECT id, topic, key, occurred_at FROM toast_outbox
        WHERE service = %(service)s {{first}}
    ) AS waiting WHERE topic = ANY (%(topics)s) AND key = %(key)s
) AS event ORDER BY id LIMIT {MOST_OF_KEY}"""
_FIRST = "ORDER BY id LIMIT %(most)s"

_NUMBER_SET_ASIDE = f"SELECT count(*) AS number FROM toast_outbox_set_aside WHERE {_CHOSEN}"

_SUMMARY = f"""
SELECT (SELECT count(*) FROM toast_outbox WHERE {_CHOSEN}) AS waiting,
       (SELECT min(occurred_at) FROM toast_outbox WHERE {_CHOSEN}) AS oldest,
       (SELECT count(*) FROM toast_outbox_set_aside WHERE {_CHOSEN}) AS set_aside"""

# The ids are lower than that of any waiting event, so these are published first.
_RETRY = f"""
WITH chosen AS (
    DELETE FROM toast_outbox_set_aside WHERE {_CHOSEN}
    RETURNING id, service, topic, key, event_id, occurred_at, payload
), changed AS (
    INSERT INTO toast_outbox (id, service, topic, key, event_id, occurred_at, payload)
    SELECT * FROM chosen RETURNING id
)"""

_DROP = f"""
WITH changed AS (DELETE FROM toast_outbox_set_aside WHERE {_CHOSEN} RETURNING id)"""

# The services are found by the index, one after another. Of other roles' sessions, only a role with
# pg_read_all_stats sees state and address.
_PUBLISHERS = """
WITH RECURSIVE waiting AS (
    SELECT min(service) AS service FROM toast_outbox
    UNION ALL
    SELECT (SELECT min(service) FROM toast_outbox WHERE service > waiting.service) FROM waiting
    WHERE service IS NOT NULL
)
SELECT service, CASE WHEN state IS NULL THEN 'unknown (only a role with pg_read_all_stats sees it)'
                     ELSE coalesce(host(client_addr), 'the machine of PostgreSQL') END AS machine
FROM waiting
JOIN pg_locks ON locktype = 'advisory' AND granted AND objsubid = 1
    AND (classid::bigint << 32 | objid::bigint) = hashtextextended('toast-outbox/' || service, 0)
JOIN pg_stat_activity AS session USING (pid)
WHERE session.datname = current_database()
ORDER BY service"""


@dataclass(frozen=True, slots=True)
class Chosen:
    """Which events: those of these ids, this service and this topic; None for any."""

    ids: Sequence[int] | None = None
    service: str | None = None
    topic: str | None = None

    def values(self) -> dict[str, object]:
        ids = None if self.ids is None else list(self.ids)
        return {"ids": ids, "service": self.service, "topic": self.topic}


@dataclass(frozen=True, slots=True)
class Summary:
    """How many events wait, since when the oldest does, and how many are set aside."""

    waiting: int
    oldest: datetime | None
    set_aside: int


@dataclass(frozen=True, slots=True)
class Topic:
    """How many events of a topic wait, and since when the oldest does."""

    service: str
    topic: str
    waiting: int
    oldest: datetime


def summary(connection: Connection, chosen: Chosen = Chosen()) -> Summary:
    """Count the events that wait and those set aside."""
    with connection.cursor(row_factory=class_row(Summary)) as cursor:
        return cursor.execute(_SUMMARY, chosen.values()).fetchone() or Summary(0, None, 0)


def topics(connection: Session, services: Sequence[str], most: int) -> list[Topic]:
    """The topics with waiting events, first the one whose oldest event waits longest.

    Of each service only the first ``most`` events are counted.
    """
    values = {"services": list(services), "most": most}
    with (
        connection.begin(outbox.BY_INDEX, read_only=True),
        connection.cursor(row_factory=class_row(Topic)) as cursor,
    ):
        return cursor.execute(_TOPICS, values).fetchall()


def number_set_aside(connection: Connection, chosen: Chosen) -> int:
    """Count the events that were set aside."""
    row = connection.execute(_NUMBER_SET_ASIDE, chosen.values()).fetchone()
    return row["number"] if row else 0


def listing(connection: Session, chosen: Chosen) -> Iterator[dict[str, Any]]:
    """Events set aside, oldest first, then waiting events; in constant memory."""
    yield from set_aside(connection, chosen)
    yield from _streamed(connection, _WAITING, chosen)


def set_aside(connection: Session, chosen: Chosen) -> Iterator[dict[str, Any]]:
    """Events set aside, oldest first; in constant memory."""
    return _streamed(connection, _SET_ASIDE, chosen)


def _streamed(connection: Session, query: str, chosen: Chosen) -> Iterator[dict[str, Any]]:
    with connection.begin(read_only=True), connection.cursor(name="events") as cursor:
        yield from cursor.execute(query, chosen.values())


def event(connection: Connection, number: int) -> dict[str, Any] | None:
    """An event with its payload; None if there is none with this id."""
    return connection.execute(_ONE, {"id": number}).fetchone()


def of_key(
    connection: Connection,
    service: str,
    topics: Sequence[str],
    key: str,
    most: int | None = None,
) -> list[dict[str, Any]]:
    """The first events of these topics about one row: its id is their key.

    Of the waiting ones only the first ``most`` of the service are searched, if given.
    """
    values = {"service": service, "topics": list(topics), "key": key, "most": most}
    statement = _OF_KEY.format(first=_FIRST if most else "")
    return connection.execute(statement, values).fetchall()


def publishers(connection: Connection) -> dict[str, str]:
    """The services whose waiting events are being published now, and the machine that does it."""
    return {row["service"]: row["machine"] for row in connection.execute(_PUBLISHERS)}


def retry(connection: Connection, chosen: Chosen) -> Changed:
    """Put events that were set aside back into the outbox."""
    return Changed.of(connection, _RETRY, chosen.values())


def drop(connection: Connection, chosen: Chosen) -> Changed:
    """Delete events that were set aside."""
    return Changed.of(connection, _DROP, chosen.values())
