"""Rows that are due for the schedulers of webhook, and rows that stay."""

from __future__ import annotations

from testing.passes import DAY, GO_ZERO_TIME, HOUR, MICROSECOND, MINUTE, NOW
from testing.scheduler_rows import Case, Row
from workers.webhook import webhook_cleanup, webhook_retry

NEVER = {f"last_{what}_at": GO_ZERO_TIME for what in ("delivery", "success", "failure")}


def webhook(**columns: object) -> Row:
    return Row("webhook_webhooks", {**NEVER, **columns})


def delivery(*attempts: Row, **columns: object) -> Row:
    values = {"status": "failed", "attempt_count": 1, "webhook_id": webhook(), **columns}
    return Row("webhook_deliveries", values, {"delivery_id": list(attempts)})


def attempt(**columns: object) -> Row:
    return Row("webhook_delivery_attempts", columns)


WEBHOOK_RETRY = Case(
    webhook_retry.SCHEDULER,
    due={
        "failed once": delivery(),
        "failed a year ago": delivery(created_at=NOW - 365 * DAY, last_attempt_at=NOW - 365 * DAY),
        "tried twice, but counted from 1 again": delivery(attempt(), attempt()),
        "planned before": delivery(next_retry_at=NOW - MINUTE, completed_at=NOW - HOUR),
    },
    stays={
        "no attempt left": delivery(attempt_count=3),
        "more attempts than there were": delivery(attempt_count=4),
        "tried three times, but counted from 1 again": delivery(
            attempt(attempt_number=1), attempt(attempt_number=1), attempt(deleted_at=NOW - HOUR)
        ),
        "pending": delivery(status="pending"),
        "delivered": delivery(status="success"),
        "retrying": delivery(status="retrying", next_retry_at=NOW - MINUTE),
        "soft-deleted": delivery(deleted_at=NOW - HOUR),
        "webhook switched off": delivery(webhook_id=webhook(active=False)),
        "webhook soft-deleted": delivery(webhook_id=webhook(deleted_at=NOW - HOUR)),
    },
    changes={"status": "retrying", "next_retry_at": NOW + 2 * MINUTE, "updated_at": NOW},
    announces=False,
)


def old_delivery(*more_attempts: Row, **columns: object) -> Row:
    values = {**delivery().columns, "created_at": NOW - 31 * DAY, **columns}
    attempts = [attempt(), *more_attempts]
    return Row("webhook_deliveries", values, {"delivery_id": attempts})


WEBHOOK_CLEANUP = Case(
    webhook_cleanup.SCHEDULER,
    due={
        "created 31 days ago": old_delivery(),
        "tried twice": old_delivery(attempt(deleted_at=NOW - DAY)),
        "delivered": old_delivery(status="success"),
        "a microsecond too old": old_delivery(created_at=NOW - 30 * DAY - MICROSECOND),
        "soft-deleted": old_delivery(deleted_at=NOW - 29 * DAY),
        "webhook switched off": old_delivery(webhook_id=webhook(active=False)),
    },
    stays={
        "exactly 30 days old": old_delivery(created_at=NOW - 30 * DAY),
        "pending": old_delivery(status="pending"),
        "retrying": old_delivery(status="retrying", next_retry_at=NOW + HOUR),
    },
    changes=None,
    announces=False,
)

CASES = (WEBHOOK_RETRY, WEBHOOK_CLEANUP)
