"""webhook-retry: a failed delivery with attempts left is scheduled for another.

Due: failed deliveries, not deleted, with fewer than WEBHOOK_MAX_RETRIES attempts, whose webhook
is active and not deleted (the delivery pool would fail any other again and again). Changes:
``status`` retrying, ``next_retry_at`` 2^attempts minutes from now, at most a day, ``updated_at``
now. No event: the delivery pool polls for these rows. A crash leaves complete batches; the rest
is still due.
"""

from typing import Any

from common import config
from common.database import Index, TableAccess, ctid, own_tables
from common.scheduling import Pass, Scheduler
from common.scheduling.batched_change import BatchedChange
from workers.webhook.tables import DELIVERIES, WEBHOOKS

MAX_RETRIES = config.integer(
    "WEBHOOK_MAX_RETRIES",
    "3",
    "attempts after which a webhook delivery is given up",
    minimum=1,
    maximum=1000,
)

# NULL attempts count as 0, as in the live service; no coalesce(), because no index serves it.
# IS TRUE keeps the planner from making the condition a join: it is tested twice for each row.
_IS_DUE = """
    status = 'failed' AND deleted_at IS NULL
    AND (attempt_count < %(max_retries)s OR attempt_count IS NULL)
    AND (EXISTS (SELECT FROM webhook_webhooks AS webhook
                 WHERE webhook.id = webhook_id AND webhook.active AND webhook.deleted_at IS NULL)
        ) IS TRUE
    AND id <> ALL (%(failed_rows)s::uuid[])"""

# The deliveries that the next pass schedules, for a dry run.
DUE = f"""
SELECT id, webhook_id, event_type, attempt_count, last_error
FROM webhook_deliveries WHERE {_IS_DUE}"""

# Schedule one batch of deliveries. 2^11 minutes are more than a day already, and a larger exponent
# would overflow the interval. No constraint forbids a count below 0: it is taken for 0.
SCHEDULE = f"""
WITH due AS (
    SELECT id, ctid FROM webhook_deliveries
    WHERE {ctid.in_range()} AND {_IS_DUE}
    FOR UPDATE SKIP LOCKED
), scheduled AS (
    UPDATE webhook_deliveries
    SET status = 'retrying', updated_at = %(now)s,
        next_retry_at = %(now)s + least(interval '24 hours',
            interval '1 minute' * power(2, greatest(least(coalesce(attempt_count, 0), 11), 0)))
    WHERE {ctid.same_rows("due")} AND {_IS_DUE}
    RETURNING id
)
SELECT (SELECT count(*) FROM due) AS found, count(*) AS processed FROM scheduled"""


def _parameters(current: Pass) -> dict[str, Any]:
    return {"max_retries": current.settings[MAX_RETRIES]}


CHANGE = BatchedChange(table="webhook_deliveries", due=DUE, batch=SCHEDULE, parameters=_parameters)

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
    run=CHANGE.run,
    preview=CHANGE.preview,
    backlog=CHANGE.backlog,
    settings=(MAX_RETRIES,),
    tables=(
        TableAccess(
            DELIVERIES,
            select=(
                *("ctid", "id", "webhook_id", "event_type", "status", "attempt_count"),
                *("last_error", "deleted_at"),
            ),
            update=("status", "next_retry_at", "updated_at"),
            profits=(Index(("attempt_count",), "status = 'failed' AND deleted_at IS NULL"),),
        ),
        TableAccess(WEBHOOKS, select=("id", "active", "deleted_at")),
        own_tables.SETTING_ROWS_ASIDE,
    ),
)
