"""webhook-delivery: a delivery pool in place of the live service's own. Off by default.

Due: deliveries in status retrying, not deleted, whose ``next_retry_at`` has come. Changes: if
the webhook is inactive or deleted, ``status`` failed without an attempt. Any other row is taken
by moving ``next_retry_at`` ahead by a lease, POSTed once, and then, in one statement, gets its
attempt row, ``status`` success, failed or retrying (see http_delivery/retry_decision.py),
``attempt_count``, ``next_retry_at``, ``last_attempt_at``, ``completed_at`` and ``last_error``,
and its webhook the counters and times. No event.

Any number of machines may share the work: a row is taken when it is sent, not earlier, and only
while it is due. A crash, and a stop that does not wait for a slow receiver, leave rows whose
lease ends: then they are due again, and sent once more with the same ``webhook-id``. An outcome
that comes after its lease is dropped if another process has taken the row meanwhile.

A delivery that cannot be taken, sent or recorded is set aside; the others go on. One that was
sent and cannot be recorded is sent again a day later; one that its receiver has accepted, never.
"""

from typing import Any

from common import config, metrics
from common.database import ctid, failed_rows, own_tables
from common.errors import PassError
from common.scheduling import Pass, PassResult, Preview, Scheduler, due_rows
from common.scheduling.batched_change import BatchedChange
from workers.webhook.due_deliveries import IS_ACTIVE, IS_DUE
from workers.webhook.metrics import DELIVERY_FAILURES
from workers.webhook.tables import DELIVERING
from workers.webhook.webhook_retry import MAX_RETRIES

# From the start, at 0: an increase from nothing to 1 is none to Prometheus.
metrics.RETRIES.labels("webhook", "delivery")
DELIVERY_FAILURES.labels("webhook")

TIMEOUT = config.duration(
    "WEBHOOK_DELIVERY_TIMEOUT",
    "30s",
    "the longest that one attempt to deliver may take, from name look-up to the last byte",
    minimum="1s",
    maximum="5m",
)
WORKER_COUNT = config.integer(
    "WEBHOOK_WORKER_COUNT", "10", "deliveries that are sent at once", minimum=1, maximum=200
)
ALLOW_PRIVATE_CIDRS = config.networks(
    "WEBHOOK_ALLOW_PRIVATE_CIDRS",
    "",
    "networks that webhooks may lead to although they are not public",
)

# The deliveries that the next pass attempts or gives up, for a dry run.
DUE = f"""
SELECT id, webhook_id, event_type, attempt_count, next_retry_at
FROM webhook_deliveries AS delivery WHERE {IS_DUE}"""

_HAS_INACTIVE_WEBHOOK = f"""
    {IS_DUE} AND id <> ALL (%(failed_rows)s::uuid[])
    AND NOT EXISTS (SELECT FROM webhook_webhooks AS webhook
                    WHERE webhook.id = delivery.webhook_id AND {IS_ACTIVE})"""

# The deliveries whose webhook is deleted or inactive.
INACTIVE_WEBHOOKS = f"SELECT id FROM webhook_deliveries AS delivery WHERE {_HAS_INACTIVE_WEBHOOK}"

# Fail one batch of them, with the live pool's error text.
GIVE_UP = f"""
WITH due AS (
    SELECT id, ctid FROM webhook_deliveries AS delivery
    WHERE {ctid.in_range()} AND {_HAS_INACTIVE_WEBHOOK}
    FOR UPDATE SKIP LOCKED
), given_up AS (
    UPDATE webhook_deliveries AS delivery
    SET status = 'failed', next_retry_at = NULL, last_error = 'Webhook is no longer active',
        updated_at = %(now)s
    WHERE {ctid.same_rows("due")} AND {_HAS_INACTIVE_WEBHOOK}
    RETURNING id
)
SELECT (SELECT count(*) FROM due) AS found, count(*) AS processed, count(*) AS inactive
FROM given_up"""

INACTIVE = BatchedChange(
    table="webhook_deliveries", due=INACTIVE_WEBHOOKS, batch=GIVE_UP, forgets=False
)


def run(current: Pass) -> PassResult:
    """Fail deliveries of deleted or inactive webhooks, then send until nothing is due."""
    given_up, failure = PassResult(), None
    try:
        given_up = INACTIVE.run(current)
    except PassError as error:
        failure = error  # raised below, after the due deliveries are sent
    # Imported here: while this scheduler is off, as by default, http.client is not loaded.
    from workers.webhook.delivery_pass import DeliveryPass

    settings = current.settings
    delivering = DeliveryPass(
        current,
        timeout=settings[TIMEOUT],
        senders=settings[WORKER_COUNT],
        max_attempts=settings[MAX_RETRIES],
        allowed_networks=settings[ALLOW_PRIVATE_CIDRS],
    )
    result = given_up + delivering.run()
    if failure:
        raise failure
    if result.complete:
        failed_rows.forget_recovered(current.connection, current.scheduler, current.now)
    return result


def _parameters(current: Pass) -> dict[str, Any]:
    return {"scheduler": current.scheduler, "now": current.now}


def _preview(current: Pass) -> Preview:
    return due_rows.preview(current, DUE, _parameters(current))


def _backlog(current: Pass, most: int) -> int:
    return due_rows.backlog(current, DUE, _parameters(current), most)


SCHEDULER = Scheduler(
    name="webhook-delivery",
    summary="sends webhook deliveries that are due for another attempt",
    enabled=config.boolean(
        "WEBHOOK_DELIVERY_ENABLED",
        "false",
        "whether deliveries are sent from here; not beside the live service's own pool",
    ),
    interval=config.interval(
        "WEBHOOK_DELIVERY_INTERVAL", "1m", "time from one look for due deliveries to the next"
    ),
    run=run,
    preview=_preview,
    backlog=_backlog,
    settings=(TIMEOUT, WORKER_COUNT, MAX_RETRIES, ALLOW_PRIVATE_CIDRS),
    tables=(*DELIVERING, own_tables.SETTING_ROWS_ASIDE),
)
