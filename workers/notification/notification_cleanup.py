"""notification-cleanup: old successful notifications are deleted, with their attempts.

Due: successful notifications created more than NOTIFICATION_CLEANUP_RETENTION_DAYS ago,
soft-deleted ones included. Changes: they and their attempts are deleted. No event. A crash
leaves complete batches deleted, a notification always with its attempts.
"""

from common import config
from common.database import Index, TableAccess, ctid, own_tables
from common.scheduling import Scheduler
from common.scheduling.retention import Retention
from workers.notification.tables import ATTEMPTS, NOTIFICATIONS

RETENTION = config.days(
    "NOTIFICATION_CLEANUP_RETENTION_DAYS", "30", "days that successful notifications are kept"
)

_IS_DUE = """
    status = 'success' AND (created_at < %(cutoff)s OR created_at IS NULL)
    AND id <> ALL (%(failed_rows)s::uuid[])"""

# The notifications that the next pass deletes, for a dry run.
DUE = f"""
SELECT id, channel_id, event_type, created_at FROM notification_notifications WHERE {_IS_DUE}"""

# Delete one batch of notifications. Their attempts refer to them with NO ACTION, which is checked
# at the end of the statement: one statement may delete both. The attempts of a row that a trigger
# keeps are kept. ``due`` is there for the planner: it can estimate ``due``, but not ``deleted``.
DELETE = f"""
WITH due AS (
    SELECT id, ctid FROM notification_notifications
    WHERE {ctid.in_range()} AND {_IS_DUE}
    FOR UPDATE SKIP LOCKED
), deleted AS (
    DELETE FROM notification_notifications
    WHERE {ctid.same_rows("due")} AND {_IS_DUE}
    RETURNING id
), deleted_attempts AS (
    DELETE FROM notification_attempts
    WHERE notification_id IN (SELECT id FROM due)
      AND (notification_id IN (SELECT id FROM deleted)) IS TRUE
    RETURNING 1
)
SELECT (SELECT count(*) FROM due) AS found,
       (SELECT count(*) FROM deleted) AS processed,
       (SELECT count(*) FROM deleted_attempts) AS attempts"""

CLEANUP = Retention(table="notification_notifications", due=DUE, delete=DELETE, days=RETENTION)

SCHEDULER = Scheduler(
    name="notification-cleanup",
    summary="deletes old notifications that arrived",
    enabled=config.boolean(
        "NOTIFICATION_CLEANUP_ENABLED", "true", "whether old notifications are deleted"
    ),
    interval=config.interval(
        "NOTIFICATION_CLEANUP_INTERVAL",
        "24h",
        "time from one clean-up of notifications to the next",
    ),
    run=CLEANUP.run,
    preview=CLEANUP.preview,
    backlog=CLEANUP.backlog,
    settings=(RETENTION,),
    tables=(
        TableAccess(
            NOTIFICATIONS,
            select=("ctid", "id", "channel_id", "event_type", "status", "created_at"),
            # FOR UPDATE asks for the right to update some column.
            update=("updated_at",),
            delete=True,
            profits=(Index(("created_at",), "status = 'success'"),),
        ),
        TableAccess(
            ATTEMPTS, select=("notification_id",), delete=True, needs=(Index(("notification_id",)),)
        ),
        own_tables.SETTING_ROWS_ASIDE,
    ),
)
