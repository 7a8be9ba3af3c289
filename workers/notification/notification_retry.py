"""notification-retry: a Discord notification that failed is sent again.

Due: failed notifications, not deleted, with fewer than NOTIFICATION_RETRY_MAX_RETRIES attempts,
whose channel is active and not deleted; all of them, the oldest of each channel first. Changes,
in one transaction per attempt: a row in ``notification_attempts``; the notification's ``status``,
``attempt_count``, ``discord_message_id``, ``sent_at`` and ``last_error``; the channel's counters
and times. No event.

A webhook that answers 404 or 401 is gone: that was its notification's last attempt, the others
of the channel wait and say why, and the channel is not called again until an operator has
changed its row. A channel whose URL is refused is treated likewise, without a call. Every other
answer but 200 and 204, and none at all, is an ordinary failed attempt, as is a payload that
cannot be read. A 429 is no attempt: its wait is obeyed, also by later passes and other
processes, and what would take this pass over its interval is left to the next.

A notification that cannot be read, sent or recorded, whatever the reason, is set aside for a day,
and for good if it was delivered; the others go on. NULL is read as the live services read it: no
attempts, the event's own colour, the oldest, an inactive channel. A time that is NULL or infinite
is not told.

A crash after Discord has taken a message and before that is recorded sends it once more:
Discord offers nothing by which a repeated message could be known. That concerns at most the
requests under way, no more than retry_pass.SENDERS. All else is as it was or done whole.
"""

from typing import Any

from common import config, metrics
from common.database import own_tables
from common.scheduling import Pass, PassResult, Preview, Scheduler
from common.scheduling.due_rows import backlog, preview
from common.scheduling.pass_lock import exclusive
from workers.notification.due_notifications import DUE, DueNotifications
from workers.notification.metrics import RETRY_QUEUE
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
    due = DueNotifications(current.connection, _parameters(current))
    due.forget_gone()
    channels = due.channels()
    if not channels:
        return PassResult()
    # Only here: a worker that has nothing to send need not carry `requests` in memory.
    from workers.notification.retry_pass import RetryPass

    return RetryPass(
        current,
        due,
        seconds=current.settings[INTERVAL].total_seconds(),
        allow_loopback_http=current.settings[ALLOW_LOOPBACK_HTTP],
    ).run(channels)


def _preview(current: Pass) -> Preview:
    return preview(current, DUE, _parameters(current))


def _backlog(current: Pass, most: int) -> int:
    return backlog(current, DUE, _parameters(current), most)


def _parameters(current: Pass) -> dict[str, Any]:
    return {
        "scheduler": current.scheduler,
        "now": current.now,
        "max_retries": current.settings[MAX_RETRIES],
    }


SCHEDULER = Scheduler(
    name="notification-retry",
    summary="sends failed Discord notifications again",
    enabled=config.boolean(
        "NOTIFICATION_RETRY_ENABLED", "true", "whether failed notifications are sent again"
    ),
    interval=INTERVAL,
    run=exclusive(_run),
    preview=_preview,
    backlog=_backlog,
    backlog_gauge=RETRY_QUEUE,
    settings=(MAX_RETRIES, ALLOW_LOOPBACK_HTTP),
    tables=(*RETRYING, own_tables.SETTING_ROWS_ASIDE),
)
