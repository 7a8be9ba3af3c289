"""webhook-cleanup: old deliveries, successful or failed, are deleted with their attempts.

Due: deliveries in status success or failed created more than WEBHOOK_CLEANUP_RETENTION_DAYS ago,
soft-deleted ones included; pending and retrying ones stay. Changes: they and their attempts
are deleted. No event. A crash leaves complete batches deleted, a delivery always with its
attempts.
"""

from common import config
from common.database import Index, TableAccess, ctid, own_tables
from common.scheduling import Scheduler
from common.scheduling.retention import Retention
from workers.webhook.tables import ATTEMPTS, DELIVERIES

RETENTION = config.days(
    "WEBHOOK_CLEANUP_RETENTION_DAYS", "30", "days that finished webhook deliveries are kept"
)

_IS_DUE = """
    status IN ('success', 'failed') AND (created_at < %(cutoff)s OR created_at IS NULL)
    AND id <> ALL (%(failed_rows)s::uuid[])"""

# The deliveries that the next pass deletes, for a dry run.
DUE = f"""
SELECT id, webhook_id, event_type, status, created_at FROM webhook_deliveries WHERE {_IS_DUE}"""

# Delete one batch of deliveries. Their attempts refer to them with NO ACTION, which is checked at
# the end of the statement: one statement may delete both. The attempts of a row that a trigger
# keeps are kept. ``due`` is there for the planner: it can estimate ``due``, but not ``deleted``.
DELETE = f"""
WITH due AS (
    SELECT id, ctid FROM webhook_deliveries
    WHERE {ctid.in_range()} AND {_IS_DUE}
    FOR UPDATE SKIP LOCKED
), deleted AS (
    DELETE FROM webhook_deliveries
    WHERE {ctid.same_rows("due")} AND {_IS_DUE}
    RETURNING id
), deleted_attempts AS (
    DELETE FROM webhook_delivery_attempts
    WHERE delivery_id IN (SELECT id FROM due)
      AND (delivery_id IN (SELECT id FROM deleted)) IS TRUE
    RETURNING 1
)
SELECT (SELECT count(*) FROM due) AS found,
       (SELECT count(*) FROM deleted) AS processed,
       (SELECT count(*) FROM deleted_attempts) AS attempts"""

CLEANUP = Retention(table="webhook_deliveries", due=DUE, delete=DELETE, days=RETENTION)

SCHEDULER = Scheduler(
    name="webhook-cleanup",
    summary="deletes old webhook deliveries",
    enabled=config.boolean(
        "WEBHOOK_CLEANUP_ENABLED", "true", "whether old webhook deliveries are deleted"
    ),
    interval=config.interval(
        "WEBHOOK_CLEANUP_INTERVAL", "24h", "time from one clean-up of deliveries to the next"
    ),
    run=CLEANUP.run,
    preview=CLEANUP.preview,
    backlog=CLEANUP.backlog,
    settings=(RETENTION,),
    tables=(
        TableAccess(
            DELIVERIES,
            select=("ctid", "id", "webhook_id", "event_type", "status", "created_at"),
            # FOR UPDATE asks for the right to update some column.
            update=("updated_at",),
            delete=True,
            # Not partial: nearly every delivery that is old enough is due, whatever its status.
            profits=(Index(("created_at",)),),
        ),
        TableAccess(
            ATTEMPTS, select=("delivery_id",), delete=True, needs=(Index(("delivery_id",)),)
        ),
        own_tables.SETTING_ROWS_ASIDE,
    ),
)
