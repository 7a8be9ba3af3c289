"""webhook-cleanup: old deliveries, successful or failed, are deleted with their attempts.

Due: deliveries in status success or failed created more than WEBHOOK_CLEANUP_RETENTION_DAYS ago,
soft-deleted ones included; pending and retrying ones stay. Changes: they and their attempts
are deleted. No event. A crash leaves complete batches deleted, a delivery always with its
attempts.
"""

from common import config
from common.scheduling import Condition, Scheduler
from common.scheduling.work.batched_change import Children
from common.scheduling.work.retention import old_rows
from workers.webhook.tables import ATTEMPTS, DELIVERIES

RETENTION = config.days(
    "WEBHOOK_CLEANUP_RETENTION_DAYS", "30", "days that finished webhook deliveries are kept"
)

SCHEDULER = Scheduler(
    name="webhook-cleanup",
    summary="deletes old webhook deliveries",
    enabled=config.boolean(
        "WEBHOOK_CLEANUP_ENABLED", "true", "whether old webhook deliveries are deleted"
    ),
    interval=config.interval(
        "WEBHOOK_CLEANUP_INTERVAL", "24h", "time from one clean-up of deliveries to the next"
    ),
    # The index is not partial: nearly every delivery that is old enough is due, whatever its
    # status.
    work=old_rows(
        DELIVERIES,
        kept=RETENTION,
        due=(Condition("finished", "status IN ('success', 'failed')"),),
        shows=("id", "webhook_id", "event_type", "status", "created_at"),
        children=(Children("attempts", ATTEMPTS, "delivery_id"),),
    ),
)
