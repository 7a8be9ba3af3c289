"""The form of a message: its JSON, built by SQL, and its headers.

The statement that changes the row builds and stores the JSON. So change and event commit together,
and a repeated message has the same id and the same bytes.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

from common.events.messages import Headers

_EARLIEST = "timestamptz '0001-01-01 00:00:00+00'"
_LATEST = "timestamptz '9999-12-31 23:59:59.999999+00'"


def rfc3339(expression: str) -> str:
    """SQL for a timestamptz as RFC 3339 text in UTC with microseconds; NULL stays NULL.

    RFC 3339 has the years 0 to 9999 and no infinity: any other time becomes the nearest that Go
    can read, whose zero time is year 1.
    """
    nearest = f"greatest(least({expression}, {_LATEST}), {_EARLIEST})"
    text = f"""to_char({nearest} AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')"""
    return f"CASE WHEN {expression} IS NOT NULL THEN {text} END"


NOW = rfc3339("%(now)s::timestamptz")


@dataclass(frozen=True, slots=True)
class Event:
    """A kind of event: its topic, and what one event says about one row.

    ``key`` names the field that is the message's key, and ``fields`` maps each field to its SQL
    expression over the row; NULL fields are omitted. The expressions may use the parameter ``now``.
    The first word of the topic is the service.

    A message holds its fields twice, for both kinds of consumer: at the top level, and in ``data``
    beside ``id``, ``type``, ``source`` and ``timestamp``.
    """

    topic: str
    key: str
    fields: Mapping[str, str]

    def insert(self, rows: str) -> str:
        """SQL that puts one event per row of the CTE ``rows`` into the outbox."""
        service = self.topic.partition(".")[0]
        pairs = ", ".join(f"'{name}', {expression}" for name, expression in self.fields.items())
        return f"""
    INSERT INTO toast_outbox (service, topic, key, event_id, occurred_at, payload)
    SELECT '{service}', '{self.topic}', event.fields ->> '{self.key}', event.id, %(now)s,
           (event.fields || jsonb_build_object(
               'id', event.id, 'type', '{self.topic}', 'source', '{service}-service',
               'timestamp', {NOW}, 'data', event.fields))::text
    FROM (SELECT gen_random_uuid() AS id,
                 jsonb_strip_nulls(jsonb_build_object({pairs})) AS fields
          FROM {rows}) AS event
    RETURNING 1"""


def headers(service: str, topic: str, event_id: str, occurred_at: str) -> Headers:
    """The headers of a message: two of the live system, and CloudEvents 1.0 binary mode.

    ``occurred_at`` is RFC 3339 text, the same as the message's ``timestamp``.
    """
    before, after = _shared_headers(service, topic, occurred_at)
    return [*before, ("ce_id", event_id), *after]


# The events of a batch differ in their ids only, and each has eight headers.
@lru_cache(maxsize=128)
def _shared_headers(service: str, topic: str, occurred_at: str) -> tuple[Headers, Headers]:
    """The headers before the id of an event, and those after it."""
    return (
        [("event_type", topic), ("timestamp", occurred_at)],
        [
            ("ce_source", f"{service}-service"),
            ("ce_type", topic),
            ("ce_time", occurred_at),
            ("ce_specversion", "1.0"),
            ("content-type", "application/json"),
        ],
    )
