"""notification-retry: a Discord notification that failed is sent again.

Due: failed notifications, not deleted, with fewer than NOTIFICATION_RETRY_MAX_RETRIES attempts,
whose channel is active and not deleted; all of them, the oldest of each channel first. Changes,
in one transaction per attempt: a row in ``notification_attempts``; the notification's ``status``,
``attempt_count``, ``discord_message_id``, ``sent_at`` and ``last_error``; the channel's counters
and times. No event.

A webhook that Discord does not know (404, 401 with its own code) is gone: this was its
notification's last attempt, the others of the channel wait with the reason in ``last_error``, and
the channel is not called again until an operator changes its row. A channel with a URL that is not
allowed is handled the same way, without a call. Any other error is an ordinary failed attempt, as
is a payload that cannot be read. A 429 is no attempt: its wait is kept, also by later passes and
other processes; what would take this pass over its interval is left to the next pass.

While no channel answers (no reply, 5xx, a proxy's page), Discord is away: nothing is an attempt,
and the pass ends after a few requests and fails. The same after a 429 of its edge, which has banned
this address; nothing is sent before the end of the ban, and then one request first.

A notification that cannot be read, sent or recorded is set aside for a day, or for good if it was
delivered; the others go on. NULL means the same as in the live services: no attempts, the event's
own colour, the oldest, an inactive channel. The embed has no time if it is NULL or infinite.

A crash after Discord has taken a message and before the attempt is recorded sends the message
once more: Discord offers no idempotency key. This concerns at most the requests in flight,
retry_pass.SENDERS. All other rows are unchanged or complete.
"""

from typing import Any

from common import config, metrics
from common.database import own_tables
from common.scheduling import Custom, Pass, PassResult, Scheduler
from common.scheduling.under_way.pass_lock import exclusive
from common.scheduling.work.due_rows import DueRows
from workers.notification import due_notifications
from workers.notification.due_notifications import DUE, DUE_CONDITIONS
from workers.notification.metrics import RETRY_QUEUE
from workers.notification.retry_session import RetrySession
from workers.notification.tables import RETRYING

# From the start, at 0: an increase from nothing to 1 is none to Prometheus.
metrics.RETRIES.labels("notification", "notification")

INTERVAL = config.interval(
    "NOTIFICATION_RETRY_INTERVAL",
    "5m",
    "time from one look for failed notifications to the next, and the longest that one may send",
)
MAX_RETRIES = config.integer(
    "NOTIFICATION_RETRY_MAX_RETRIES",
    "3",
    "attempts after which a notification is given up",
    minimum=1,
    maximum=1000,
)
ALLOW_LOOPBACK_HTTP = config.boolean(
    "NOTIFICATION_ALLOW_LOOPBACK_HTTP",
    "false",
    "whether a webhook may be on this machine and without TLS, as a relay or a stand-in is",
)


def _run(current: Pass) -> PassResult:
    session = RetrySession(current, _parameters(current))
    due_notifications.forget_gone(session)
    channels = due_notifications.channels(session)
    if not channels:
        return PassResult()
    # Imported here: a worker with nothing to send does not load `requests`.
    from workers.notification.retry_pass import RetryPass

    return RetryPass(
        current,
        session,
        seconds=current.settings[INTERVAL].total_seconds(),
        allow_loopback_http=current.settings[ALLOW_LOOPBACK_HTTP],
    ).run(channels)


def _parameters(current: Pass) -> dict[str, Any]:
    return {
        "scheduler": current.scheduler,
        "now": current.now,
        "max_retries": current.settings[MAX_RETRIES],
    }


_DUE_ROWS = DueRows(DUE, _parameters, since="created_at")

SCHEDULER = Scheduler(
    name="notification-retry",
    summary="sends failed Discord notifications again",
    enabled=config.boolean(
        "NOTIFICATION_RETRY_ENABLED", "true", "whether failed notifications are sent again"
    ),
    interval=INTERVAL,
    work=exclusive(
        Custom(
            run=_run,
            preview=_DUE_ROWS.preview,
            why=due_notifications.one_row(_parameters, MAX_RETRIES).why,
            backlog=_DUE_ROWS.backlog,
            due=DUE_CONDITIONS,
            settings=(
                MAX_RETRIES,
                ALLOW_LOOPBACK_HTTP,
                config.OUTBOUND_PROXY,
                config.OUTBOUND_CA_FILE,
            ),
            tables=(*RETRYING, own_tables.SETTING_ROWS_ASIDE),
        )
    ),
    backlog_gauge=RETRY_QUEUE,
)
