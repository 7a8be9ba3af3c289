"""Rows that are due for the schedulers of twitchbot, and rows that stay."""

from testing.passes import DAY, GO_ZERO_TIME, HOUR, MICROSECOND, NOW
from testing.scheduler_rows import Case, Row
from workers.twitchbot import message_cleanup, stream_closer


def message(**columns: object) -> Row:
    return Row("twitchbot_messages", {"created_at": NOW - 91 * DAY, "sent_at": NOW, **columns})


MESSAGE_CLEANUP = Case(
    message_cleanup.SCHEDULER,
    due={
        "created 91 days ago": message(),
        "a microsecond too old": message(created_at=NOW - 90 * DAY - MICROSECOND),
        "soft-deleted": message(deleted_at=NOW - 89 * DAY),
        "created at Go's zero time": message(created_at=GO_ZERO_TIME),
    },
    stays={
        "exactly 90 days old": message(created_at=NOW - 90 * DAY),
        "sent long ago, created lately": message(created_at=NOW - DAY, sent_at=NOW - 91 * DAY),
    },
    changes=None,
    announces=False,
)


def stream(**columns: object) -> Row:
    return Row("twitchbot_streams", {"is_active": True, "updated_at": NOW - 2 * DAY, **columns})


STREAM_CLOSER = Case(
    stream_closer.SCHEDULER,
    due={
        "for two days": stream(),
        "for exactly 24 hours": stream(updated_at=NOW - 24 * HOUR),
        "since Go's zero time": stream(updated_at=GO_ZERO_TIME),
        "with an earlier end": stream(ended_at=NOW - DAY),
    },
    stays={
        "for a microsecond less": stream(updated_at=NOW - 24 * HOUR + MICROSECOND),
        "ended": stream(is_active=False, ended_at=None),
        "soft-deleted": stream(deleted_at=NOW - DAY),
        "the Chat-Only stream": stream(id="00000000-0000-0000-0000-000000000001"),
    },
    changes={"is_active": False, "ended_at": NOW, "updated_at": NOW},
    announces=False,
)

CASES = (MESSAGE_CLEANUP, STREAM_CLOSER)
