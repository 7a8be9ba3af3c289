"""message-cleanup: old chat messages are deleted for good.

Due: messages created more than MESSAGE_CLEANUP_RETENTION_DAYS ago, soft-deleted ones included.
Changes: the rows are deleted. No event. A crash leaves complete batches deleted; the rest is
still due.
"""

from common import config
from common.scheduling import Scheduler
from common.scheduling.work.retention import old_rows
from workers.twitchbot.tables import MESSAGES

RETENTION = config.days("MESSAGE_CLEANUP_RETENTION_DAYS", "90", "days that chat messages are kept")

SCHEDULER = Scheduler(
    name="message-cleanup",
    summary="deletes old chat messages",
    enabled=config.boolean(
        "MESSAGE_CLEANUP_ENABLED", "true", "whether old chat messages are deleted"
    ),
    interval=config.interval(
        "MESSAGE_CLEANUP_INTERVAL", "24h", "time from one clean-up of chat messages to the next"
    ),
    work=old_rows(MESSAGES, kept=RETENTION, shows=("id", "stream_id", "username", "created_at")),
)
