"""link-expiration: a short link whose time has passed is switched off.

Due: active links, not deleted, whose ``expires_at`` (``expiry_date`` in the specification) has
come. Changes: ``is_active`` false, ``updated_at`` now. Event: ``link.expired``, one per link.
A crash leaves complete batches with their events in the outbox; the rest is still due.
"""

from common import config
from common.database import Index, TableAccess, ctid, own_tables
from common.events import envelope
from common.scheduling import Scheduler
from common.scheduling.batched_change import BatchedChange
from workers.link.tables import LINKS

TOPIC = "link.expired"

_IS_DUE = """
    is_active AND deleted_at IS NULL AND expires_at <= %(now)s
    AND id <> ALL (%(failed_rows)s::uuid[])"""

# The links that the next pass expires, for a dry run.
DUE = f"SELECT id, short_code, expires_at FROM link_links WHERE {_IS_DUE}"

# Expire one batch of links and announce each.
EXPIRE = f"""
WITH due AS (
    SELECT id, ctid FROM link_links
    WHERE {ctid.in_range()} AND {_IS_DUE}
    FOR UPDATE SKIP LOCKED
), expired AS (
    UPDATE link_links SET is_active = false, updated_at = %(now)s
    WHERE {ctid.same_rows("due")} AND {_IS_DUE}
    RETURNING id, short_code, expires_at
), announced AS ({
    envelope.announce(
        "link",
        TOPIC,
        rows="expired",
        key="link_id",
        fields={
            "link_id": "id",
            "short_code": "short_code",
            "expires_at": envelope.rfc3339("expires_at"),
        },
    )
})
SELECT (SELECT count(*) FROM due) AS found,
       (SELECT count(*) FROM expired) AS processed,
       (SELECT count(*) FROM announced) AS events"""

CHANGE = BatchedChange(table="link_links", due=DUE, batch=EXPIRE)

SCHEDULER = Scheduler(
    name="link-expiration",
    summary="switches off short links whose time has passed",
    enabled=config.boolean(
        "LINK_EXPIRATION_ENABLED", "true", "whether links are switched off when they expire"
    ),
    interval=config.interval(
        "LINK_EXPIRATION_INTERVAL", "1h", "time from one look for expired links to the next"
    ),
    run=CHANGE.run,
    preview=CHANGE.preview,
    backlog=CHANGE.backlog,
    topics=(TOPIC,),
    tables=(
        TableAccess(
            LINKS,
            select=("ctid", "id", "short_code", "expires_at", "is_active", "deleted_at"),
            update=("is_active", "updated_at"),
            profits=(Index(("expires_at",), "is_active AND deleted_at IS NULL"),),
        ),
        own_tables.SETTING_ROWS_ASIDE,
    ),
)
