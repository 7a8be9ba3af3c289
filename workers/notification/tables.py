"""The live tables of notification: the columns that its schedulers use; and their own tables."""

from common.database import BIGINT, BOOLEAN, TEXT, TIME, UUID, Index, Table, TableAccess

CHANNELS = Table(
    "notification_channels",
    {
        "id": UUID,
        "name": TEXT,
        "webhook_url": TEXT,
        "event_types": TEXT,
        "color": BIGINT,
        "active": BOOLEAN,
        "description": TEXT,
        "updated_at": TIME,
        "deleted_at": TIME,
        "total_notifications": BIGINT,
        "success_notifications": BIGINT,
        "failed_notifications": BIGINT,
        "last_notification_at": TIME,
        "last_success_at": TIME,
        "last_failure_at": TIME,
    },
)
NOTIFICATIONS = Table(
    "notification_notifications",
    {
        "id": UUID,
        "channel_id": UUID,
        "event_id": TEXT,
        "event_type": TEXT,
        "event_payload": TEXT,
        "discord_message_id": TEXT,
        "status": TEXT,
        "attempt_count": BIGINT,
        "last_error": TEXT,
        "sent_at": TIME,
        "created_at": TIME,
        "updated_at": TIME,
        "deleted_at": TIME,
    },
)
ATTEMPTS = Table(
    "notification_attempts",
    {
        "notification_id": UUID,
        "attempt_number": BIGINT,
        "response_status": BIGINT,
        "response_body": TEXT,
        "discord_message_id": TEXT,
        "success": BOOLEAN,
        "error": TEXT,
        "duration_ms": BIGINT,
        "created_at": TIME,
    },
)

# The limits of each channel, and whether it is gone: our own table.
_LIMITS = ("requests", "quiet_until", "gone_row", "gone_reason")
DISCORD_CHANNELS = TableAccess(
    Table("toast_discord_channels"),
    select=("channel_id", *_LIMITS),
    insert=("channel_id", *_LIMITS),
    update=_LIMITS,
)

_COUNTERS = ("total_notifications", "success_notifications", "failed_notifications")

# What notification-retry does (due_notifications.py, attempt_records.py, unsent_notifications.py).
RETRYING = (
    TableAccess(
        NOTIFICATIONS,
        select=(
            *("id", "channel_id", "event_id", "event_type", "event_payload", "created_at"),
            *("status", "attempt_count", "discord_message_id", "sent_at"),
            *("last_error", "deleted_at"),
        ),
        update=(
            *("status", "attempt_count", "discord_message_id", "sent_at", "last_error"),
            "updated_at",
        ),
        profits=(
            Index(
                ("attempt_count", "channel_id", "created_at", "id"),
                "status = 'failed' AND deleted_at IS NULL",
            ),
        ),
    ),
    TableAccess(ATTEMPTS, insert=tuple(ATTEMPTS.columns)),
    TableAccess(
        CHANNELS,
        select=(
            *("id", "name", "webhook_url", "event_types", "color", "active", "description"),
            *("deleted_at", "last_success_at", "last_failure_at", *_COUNTERS),
        ),
        update=(
            *_COUNTERS,
            *("last_notification_at", "last_success_at", "last_failure_at", "updated_at"),
        ),
    ),
    DISCORD_CHANNELS,
)
