"""webhook-retry: a failed delivery with attempts left is scheduled for another.

Due: failed deliveries, not deleted, with fewer than WEBHOOK_MAX_RETRIES attempts, whose webhook
is active and not deleted (the delivery pool would fail any other again and again). The rows of
webhook_delivery_attempts count as well as ``attempt_count``: the live pool numbers the attempts of
each retry from 1, so that its count never passes its own maximum. Changes:
``status`` retrying, ``next_retry_at`` 2^attempts minutes from now, at most a day, ``updated_at``
now. No event: the delivery pool polls for these rows. A crash leaves complete batches; the rest
is still due.
"""

from common import config
from common.database import Index, TableAccess
from common.scheduling import Condition, Scheduler
from common.scheduling.work.batched_change import BatchedChange
from workers.webhook.tables import ATTEMPTS, DELIVERIES, WEBHOOKS

MAX_RETRIES = config.integer(
    "WEBHOOK_MAX_RETRIES",
    "3",
    "attempts after which a webhook delivery is given up",
    minimum=1,
    maximum=1000,
)

# IS TRUE keeps the planner from making the condition a join: it is tested twice for each row.
_HAS_ACTIVE_WEBHOOK = """
    (EXISTS (SELECT FROM webhook_webhooks AS webhook
             WHERE webhook.id = webhook_id AND webhook.active AND webhook.deleted_at IS NULL)
    ) IS TRUE"""

_WEBHOOK = {
    f"webhook.{name}": f"""
    (SELECT webhook.{name} FROM webhook_webhooks AS webhook WHERE webhook.id = webhook_id)"""
    for name in ("active", "deleted_at")
}

# The attempts that were made, counted no further than needed.
_ATTEMPTS_MADE = """
    (SELECT count(*) FROM (SELECT FROM webhook_delivery_attempts AS attempt
                           WHERE attempt.delivery_id = webhook_deliveries.id
                           LIMIT %(max_retries)s) AS made)"""

# 2^11 minutes are more than a day already, and a larger exponent would overflow the interval. No
# constraint forbids a count below 0: it is taken for 0.
_NEXT_RETRY = """
    %(now)s + least(interval '24 hours',
        interval '1 minute' * power(2, greatest(least(coalesce(attempt_count, 0), 11), 0)))"""

SCHEDULING = BatchedChange(
    DELIVERIES,
    due=(
        Condition("failed", "status = 'failed'"),
        Condition("not deleted", "deleted_at IS NULL"),
        # NULL attempts count as 0, as in the live service; no coalesce(), because no index
        # serves it.
        Condition("attempts left", "attempt_count < %(max_retries)s OR attempt_count IS NULL"),
        Condition("webhook active", _HAS_ACTIVE_WEBHOOK, shows=_WEBHOOK),
        Condition(
            "fewer attempts made",
            f"{_ATTEMPTS_MADE} < %(max_retries)s",
            shows={"attempts made": _ATTEMPTS_MADE},
        ),
    ),
    changes={"status": "'retrying'", "updated_at": "%(now)s", "next_retry_at": _NEXT_RETRY},
    parameters={"max_retries": MAX_RETRIES},
    shows=("id", "webhook_id", "event_type", "attempt_count", "last_error", "updated_at"),
    since="updated_at",
    # Each row is sent by the delivery pool, however old it is.
    can_be_quiet=False,
    index=Index(("attempt_count",), "status = 'failed' AND deleted_at IS NULL"),
    reads=(
        TableAccess.reading(WEBHOOKS, "webhook", _HAS_ACTIVE_WEBHOOK),
        TableAccess.reading(ATTEMPTS, "attempt", _ATTEMPTS_MADE, needs=(Index(("delivery_id",)),)),
    ),
)

SCHEDULER = Scheduler(
    name="webhook-retry",
    summary="schedules failed webhook deliveries for another attempt",
    enabled=config.boolean(
        "WEBHOOK_RETRY_SCHEDULER_ENABLED", "true", "whether failed deliveries are scheduled again"
    ),
    interval=config.interval(
        "WEBHOOK_RETRY_SCHEDULER_INTERVAL",
        "5m",
        "time from one look for failed deliveries to the next",
    ),
    work=SCHEDULING,
)
