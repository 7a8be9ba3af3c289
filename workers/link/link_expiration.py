"""link-expiration: a short link whose time has passed is switched off.

Due: active links, not deleted, whose ``expires_at`` (``expiry_date`` in the specification) has
come. Changes: ``is_active`` false, ``updated_at`` now. Event: ``link.expired``, one per link.
A crash leaves complete batches with their events in the outbox; the rest is still due.
"""

from common import config
from common.database import Index
from common.events.envelope import Event, rfc3339
from common.scheduling import Condition, Scheduler, has_come
from common.scheduling.work.batched_change import BatchedChange
from workers.link.tables import LINKS

EXPIRED = Event(
    "link.expired",
    key="link_id",
    fields={"link_id": "id", "short_code": "short_code", "expires_at": rfc3339("expires_at")},
)

EXPIRATION = BatchedChange(
    LINKS,
    due=(
        Condition("active", "is_active"),
        Condition("not deleted", "deleted_at IS NULL"),
        has_come("expires_at has come", "expires_at"),
    ),
    changes={"is_active": "false", "updated_at": "%(now)s"},
    event=EXPIRED,
    shows=("id", "short_code", "expires_at"),
    since="expires_at",
    index=Index(("expires_at",), "is_active AND deleted_at IS NULL"),
)

SCHEDULER = Scheduler(
    name="link-expiration",
    summary="switches off short links whose time has passed",
    enabled=config.boolean(
        "LINK_EXPIRATION_ENABLED", "true", "whether links are switched off when they expire"
    ),
    interval=config.interval(
        "LINK_EXPIRATION_INTERVAL", "1h", "time from one look for expired links to the next"
    ),
    work=EXPIRATION,
)
