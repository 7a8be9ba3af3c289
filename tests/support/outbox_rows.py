"""Events put into the outbox directly, as a pass of some worker would have left them."""

import uuid
from datetime import UTC, datetime

from testing.database import TestDatabase

OCCURRED_AT = datetime(2026, 1, 2, 3, 4, 5, 678900, tzinfo=UTC)

_INSERT = """
INSERT INTO toast_outbox (service, topic, key, event_id, occurred_at, payload, tries, retry_at)
VALUES (%s, %s, %s, %s, %s, %s, %s, %s)
RETURNING id"""


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
