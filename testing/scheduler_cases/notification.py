"""Rows that are due for the schedulers of notification, and rows that stay."""

from testing.passes import DAY, GO_ZERO_TIME, MICROSECOND, NOW
from testing.scheduler_rows import Case, Row
from workers.notification import notification_cleanup


def notification(*more_attempts: Row, **columns: object) -> Row:
    values = {"status": "success", "created_at": NOW - 31 * DAY, **columns}
    attempts = [Row("notification_attempts"), *more_attempts]
    return Row("notification_notifications", values, {"notification_id": attempts})


NOTIFICATION_CLEANUP = Case(
    notification_cleanup.SCHEDULER,
    due={
        "created 31 days ago": notification(),
        "tried twice": notification(Row("notification_attempts", {"deleted_at": NOW - DAY})),
        "a microsecond too old": notification(created_at=NOW - 30 * DAY - MICROSECOND),
        "soft-deleted": notification(deleted_at=NOW - 29 * DAY),
        "created at Go's zero time": notification(created_at=GO_ZERO_TIME),
    },
    stays={
        "exactly 30 days old": notification(created_at=NOW - 30 * DAY),
        "failed": notification(status="failed", sent_at=None),
        "pending": notification(status="pending"),
    },
    changes=None,
    announces=False,
)

CASES = (NOTIFICATION_CLEANUP,)
