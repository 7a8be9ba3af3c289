"""notification-cleanup: old successful notifications are deleted, with their attempts.

Due: successful notifications created more than NOTIFICATION_CLEANUP_RETENTION_DAYS ago,
soft-deleted ones included. Changes: they and their attempts are deleted. No event. A crash
leaves complete batches deleted, a notification always with its attempts.
"""

from common import config
from common.database import Index
from common.scheduling import Condition, Scheduler
from common.scheduling.work.batched_change import Children
from common.scheduling.work.retention import old_rows
from workers.notification.tables import ATTEMPTS, NOTIFICATIONS

RETENTION = config.days(
    "NOTIFICATION_CLEANUP_RETENTION_DAYS", "30", "days that successful notifications are kept"
)

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
    work=old_rows(
        NOTIFICATIONS,
        kept=RETENTION,
        due=(Condition("successful", "status = 'success'"),),
        shows=("id", "channel_id", "event_type", "created_at"),
        index=Index(("created_at",), "status = 'success'"),
        children=(Children("attempts", ATTEMPTS, "notification_id"),),
    ),
)
