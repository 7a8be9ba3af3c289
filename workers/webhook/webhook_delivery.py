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
is dropped if another process has changed the row: after the lease, or during it as the live
service's pool does, which knows no lease (``overtaken``).

If three receivers fail in a row (no answer, 5xx) and none answers, it is an outage: their attempts
are not counted (``excused``), they are due again, and the pass fails. Failures of fewer are their
receivers' own. Beside each receiver that answers, or that anybody has reached since the passes
fail, ten must fail.

A delivery that cannot be taken, sent or recorded is set aside; the others go on. One that was
sent and cannot be recorded is sent again a day later; one that its receiver has accepted, never.
"""

from common import config, metrics
from common.database import failed_rows, own_tables
from common.errors import PassError
from common.scheduling import Custom, Pass, PassResult, Scheduler, Suspicion
from common.scheduling.work import batched_pass
from workers.webhook import receivers
from workers.webhook.due_deliveries import DUE_CONDITIONS, DUE_ROWS, GIVE_UP, ONE_ROW, next_due
from workers.webhook.metrics import DELIVERY_FAILURES, OVERTAKEN
from workers.webhook.tables import DELIVERING
from workers.webhook.webhook_retry import MAX_RETRIES

# From the start, at 0: an increase from nothing to 1 is none to Prometheus.
metrics.RETRIES.labels("webhook", "delivery")
DELIVERY_FAILURES.labels("webhook")

# Each needs up to two threads and two files: the units' TasksMax= and LimitNOFILE= follow.
MOST_WORKERS = 200
WORKER_COUNT = config.integer(
    "WEBHOOK_WORKER_COUNT",
    "10",
    "deliveries that are sent at once",
    minimum=1,
    maximum=MOST_WORKERS,
)


def run(current: Pass) -> PassResult:
    """Fail deliveries of deleted or inactive webhooks, then send until nothing is due."""
    given_up, failure = PassResult(), None
    try:
        given_up = batched_pass.run(current, GIVE_UP, batched_pass.parameters(current, {}))
    except PassError as error:
        failure = error  # raised below, after the due deliveries are sent
    # Imported here: while this scheduler is off, as by default, `requests` is not loaded.
    from workers.webhook.delivery_pass import DeliveryPass

    settings = current.settings
    delivering = DeliveryPass(
        current,
        receivers.client(settings),
        senders=settings[WORKER_COUNT],
        max_attempts=settings[MAX_RETRIES],
    )
    result = given_up + delivering.run()
    if failure:
        raise failure
    if result.complete:
        failed_rows.forget_recovered(current.connection, current.scheduler, current.now)
    return result


SCHEDULER = Scheduler(
    name="webhook-delivery",
    summary="sends webhook deliveries that are due for another attempt",
    enabled=config.boolean(
        "WEBHOOK_DELIVERY_ENABLED",
        "false",
        "whether deliveries are sent from here; only if the live webhook service does not run: its"
        " own pool cannot be switched off",
    ),
    interval=config.interval(
        "WEBHOOK_DELIVERY_INTERVAL", "1m", "time from one look for due deliveries to the next"
    ),
    work=Custom(
        run=run,
        preview=DUE_ROWS.preview,
        why=ONE_ROW.why,
        backlog=DUE_ROWS.backlog,
        next_due=next_due,
        due=DUE_CONDITIONS,
        settings=(WORKER_COUNT, MAX_RETRIES, *receivers.SETTINGS),
        tables=(*DELIVERING, own_tables.SETTING_ROWS_ASIDE),
    ),
    suspicions=(
        Suspicion(
            OVERTAKEN,
            "deliveries were finished by another process at the same time, and sent twice",
            "set WEBHOOK_DELIVERY_ENABLED=false while the live webhook service runs, whose delivery"
            " pool cannot be switched off",
        ),
    ),
    row_faults=receivers.refused_urls,
)
