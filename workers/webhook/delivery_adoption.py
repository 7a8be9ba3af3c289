"""delivery-adoption: deliveries that a crash of the live service left get another attempt.

`toast takeover webhook --adopt` runs it, nothing else. Due: deliveries in status pending, or
retrying without a ``next_retry_at``, not deleted, not changed for an hour. Changes: ``status``
failed, ``last_error`` and ``updated_at``, so webhook-retry schedules them; those that are too old
for that get all attempts in ``attempt_count``. A crash leaves complete batches; the rest is still
due.
"""

from dataclasses import replace

from common.scheduling import Condition
from common.scheduling.work.adoption import left_rows
from workers.webhook import webhook_retry
from workers.webhook.tables import DELIVERIES

_NOBODY_TAKES = "status = 'pending' OR (status = 'retrying' AND next_retry_at IS NULL)"

SCHEDULER = replace(
    webhook_retry.SCHEDULER,
    name="delivery-adoption",
    summary="lets deliveries that a crash left be sent again",
    work=left_rows(
        DELIVERIES,
        left=Condition("pending, or to be retried at no time", _NOBODY_TAKES),
        shows=("id", "webhook_id", "event_type", "status", "attempt_count", "updated_at"),
        max_attempts=webhook_retry.MAX_RETRIES,
    ),
)
