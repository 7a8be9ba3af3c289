"""Where our own tables name a row, an event or a run, by an id that an operator has."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from common.cli.operate import failed_rows
from common.cli.services import Services
from common.database import own_tables, usable_tables
from common.database.session import Session
from common.events import outbox
from common.logging.redaction import redact_row

# Of the waiting events of each service, only so many are searched: keys have no index.
MOST_EVENTS = 5_000
# Of each kind.
MOST_ROWS = 20

Row = Mapping[str, Any]

_COLUMNS = "id, service, topic, key, event_id, occurred_at, tries, error"
_EVENT_HAS = "(id = %(number)s::bigint OR key = %(id)s OR event_id = %(uuid)s::uuid)"

# The number of an event is in the index after its service; its key and its own id are in none.
_EVENTS = f"""
SELECT * FROM (
    SELECT {_COLUMNS}, set_aside_at FROM toast_outbox_set_aside WHERE {_EVENT_HAS}
    UNION ALL
    SELECT {_COLUMNS}, NULL FROM toast_outbox
    WHERE service = ANY (%(services)s) AND id = %(number)s::bigint
    UNION ALL
    SELECT waiting.*, NULL FROM unnest(%(services)s::text[]) AS one (service)
    CROSS JOIN LATERAL (
        SELECT {_COLUMNS} FROM toast_outbox WHERE service = one.service
        ORDER BY id LIMIT {MOST_EVENTS}
    ) AS waiting WHERE key = %(id)s OR event_id = %(uuid)s::uuid
) AS event ORDER BY id LIMIT {MOST_ROWS}"""

_RUN = """
SELECT id, service, scheduler, host, process, started_at, finished_at, result, counts, error
FROM toast_runs WHERE id = %(uuid)s"""

# One that is only remembered, by a takeover, is raised at infinity.
_ALERTS = """
SELECT scheduler, subject_id, facts, nullif(raised_at, 'infinity') AS raised_at FROM toast_alerts
WHERE scheduler = ANY (%(schedulers)s) AND subject_id = %(uuid)s ORDER BY scheduler"""

_ACTIONS = f"""
SELECT done_at, login, host, action, subject, rows, reason FROM toast_audit
WHERE %(id)s = ANY (first_rows) ORDER BY done_at DESC, id DESC LIMIT {MOST_ROWS}"""


@dataclass(frozen=True, slots=True)
class Mentions:
    """What one database knows of an id, without secrets.

    ``events`` that wait or were set aside, whose number, key or event_id it is; if not
    ``is_complete``, later ones that wait were not searched. ``rows_aside`` and ``alerts`` about a
    row, ``runs`` that have this id, and ``actions`` of operators that the audit has.
    """

    events: Sequence[Row]
    is_complete: bool
    rows_aside: Sequence[Row]
    alerts: Sequence[Row]
    runs: Sequence[Row]
    actions: Sequence[Row]
    most_events: int = MOST_EVENTS


def find(connection: Session, services: Services, given: str) -> Mentions:
    """Search for an id: a UUID, the number of an event, or what else a key can be."""
    uuid = _uuid(given)
    number = int(given) if given.isascii() and given.isdecimal() and len(given) < 19 else None
    values = {
        "id": str(uuid) if uuid else given,
        "uuid": uuid,
        "number": number,
        "services": list(services.names),
        "schedulers": [scheduler for _, scheduler in services.jobs(None, None)],
    }
    with connection.begin(outbox.BY_INDEX, read_only=True):
        events = _rows(connection, _EVENTS, values)
    waiting = outbox.of_services(connection, services.names, MOST_EVENTS).values()
    is_complete = all(each.waiting < MOST_EVENTS for each in waiting)
    actions = _rows(connection, _ACTIONS, values)
    if uuid is None:
        return Mentions(events, is_complete, (), (), (), actions)
    chosen = failed_rows.choose(services, ids=[uuid])
    has_alerts = usable_tables.is_there(connection, own_tables.ALERTS.table.name)
    return Mentions(
        events,
        is_complete,
        [redact_row(row) for row in failed_rows.listing(connection, chosen)],
        _rows(connection, _ALERTS, values) if has_alerts else (),
        _rows(connection, _RUN, values),
        actions,
    )


def _uuid(given: str) -> UUID | None:
    with suppress(ValueError):
        return UUID(given)
    return None


def _rows(connection: Session, statement: str, values: Mapping[str, object]) -> Sequence[Row]:
    return [redact_row(row) for row in connection.execute(statement, values)]
