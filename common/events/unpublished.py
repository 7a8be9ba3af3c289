"""Counts events that Kafka does not have."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from psycopg.rows import class_row

from common.database.session import Connection

_COUNT = """
SELECT count(*) AS number, count(*) FILTER (WHERE tries > 0) AS refused
FROM toast_outbox
WHERE service = %(service)s AND topic = ANY (%(topics)s) AND occurred_at >= %(since)s"""


@dataclass(frozen=True, slots=True)
class Unpublished:
    """The number of events that wait; Kafka has refused some of them."""

    number: int
    refused: int


def count(
    connection: Connection, service: str, topics: Sequence[str], since: datetime
) -> Unpublished:
    """Count the events of these topics of a service that occurred since then."""
    with connection.cursor(row_factory=class_row(Unpublished)) as cursor:
        values = {"service": service, "topics": list(topics), "since": since}
        return cursor.execute(_COUNT, values).fetchone() or Unpublished(0, 0)
