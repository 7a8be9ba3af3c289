"""The live tables of webhook: the columns that its schedulers use."""

from common.database import BIGINT, BOOLEAN, TEXT, TIME, UUID, Index, Table, TableAccess

WEBHOOKS = Table(
    "webhook_webhooks",
    {
        "id": UUID,
        "url": TEXT,
        "secret": TEXT,
        "active": BOOLEAN,
        "updated_at": TIME,
        "deleted_at": TIME,
        "total_deliveries": BIGINT,
        "success_deliveries": BIGINT,
        "failed_deliveries": BIGINT,
        "last_delivery_at": TIME,
        "last_success_at": TIME,
        "last_failure_at": TIME,
    },
)
DELIVERIES = Table(
    "webhook_deliveries",
    {
        "id": UUID,
        "webhook_id": UUID,
        "event_type": TEXT,
        "event_payload": TEXT,
        "status": TEXT,
        "attempt_count": BIGINT,
        "next_retry_at": TIME,
        "last_attempt_at": TIME,
        "completed_at": TIME,
        "last_error": TEXT,
        "created_at": TIME,
        "updated_at": TIME,
        "deleted_at": TIME,
    },
)
ATTEMPTS = Table(
    "webhook_delivery_attempts",
    {
        "delivery_id": UUID,
        "attempt_number": BIGINT,
        "request_url": TEXT,
        "request_headers": TEXT,
        "request_body": TEXT,
        "response_status": BIGINT,
        "response_headers": TEXT,
        "response_body": TEXT,
        "success": BOOLEAN,
        "error": TEXT,
        "duration_ms": BIGINT,
        "created_at": TIME,
    },
)

_COUNTERS = ("total_deliveries", "success_deliveries", "failed_deliveries")

# What webhook-delivery does (webhook_delivery.py, delivery_rows.py).
DELIVERING = (
    TableAccess(
        DELIVERIES,
        select=(
            *("ctid", "id", "webhook_id", "event_type", "event_payload", "status"),
            *("attempt_count", "next_retry_at", "completed_at", "deleted_at"),
        ),
        update=(
            *("status", "attempt_count", "next_retry_at", "last_attempt_at", "completed_at"),
            *("last_error", "updated_at"),
        ),
        # The live index: few deliveries wait for a retry at any time.
        profits=(Index(("status",)),),
        is_timed=True,
    ),
    TableAccess(ATTEMPTS, insert=tuple(ATTEMPTS.columns)),
    TableAccess(
        WEBHOOKS,
        select=(
            *("id", "url", "secret", "active", "deleted_at", "last_success_at"),
            *("last_failure_at", *_COUNTERS),
        ),
        update=(
            *_COUNTERS,
            *("last_delivery_at", "last_success_at", "last_failure_at", "updated_at"),
        ),
    ),
)
