"""notification-adoption: notifications that a crash of the live service left get another attempt.

`toast takeover notification --adopt` runs it, nothing else. Due: notifications in status pending,
not deleted, not changed for an hour. Changes: ``status`` failed, ``last_error`` and ``updated_at``,
so notification-retry sends them; those that are too old for that get all attempts in
``attempt_count``. A crash leaves complete batches; the rest is still due.
"""

from dataclasses import replace

from common.scheduling import Condition
from common.scheduling.work.adoption import left_rows
from workers.notification import notification_retry
from workers.notification.tables import NOTIFICATIONS

SCHEDULER = replace(
    notification_retry.SCHEDULER,
    name="notification-adoption",
    summary="lets notifications that a crash left be sent again",
    work=left_rows(
        NOTIFICATIONS,
        left=Condition("pending", "status = 'pending'"),
        shows=("id", "channel_id", "event_type", "attempt_count", "updated_at"),
        max_attempts=notification_retry.MAX_RETRIES,
    ),
    backlog_gauge=None,
)
