"""Events put into the outbox directly, as a pass would have left them, or the publisher."""

import uuid
from datetime import UTC, datetime

from testing.database import TestDatabase

OCCURRED_AT = datetime(2026, 1, 2, 3, 4, 5, 678900, tzinfo=UTC)

_INSERT = """
INSERT INTO toast_outbox (service, topic, key, event_id, occurred_at, payload, tries, retry_at)
VALUES (%s, %s, %s, %s, %s, %s, %s, %s)
RETURNING id"""

_SET_ASIDE = """
WITH refused AS (DELETE FROM toast_outbox WHERE id = ANY (%s) RETURNING *)
INSERT INTO toast_outbox_set_aside
SELECT id, service, topic, key, event_id, occurred_at, payload, 5, %s, now() FROM refused"""


def add_event(
    database: TestDatabase,
    *,
    key: str = "k",
    payload: str = "{}",
    service: str = "link",
    topic: str = "link.expired",
    event_id: uuid.UUID | None = None,
    occurred_at: datetime = OCCURRED_AT,
    tries: int = 0,
    retry_at: datetime | None = None,
) -> int:
    """Put one event into the outbox; its id there."""
    event = event_id or uuid.uuid4()
    values = (service, topic, key, event, occurred_at, payload, tries, retry_at)
    [row] = database.query(_INSERT, *values)
    number: int = row["id"]
    return number


def set_aside(database: TestDatabase, *events: int, error: str = "no") -> None:
    """Set events aside, as after five refusals."""
    database.query(_SET_ASIDE, list(events), error)
