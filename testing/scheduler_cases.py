"""The nine schedulers that only use the database: rows that are due, and rows that stay."""

from __future__ import annotations

from testing.passes import DAY, GO_ZERO_TIME, HOUR, MICROSECOND, MINUTE, NOW
from testing.scheduler_rows import Case, Row
from workers.blog import post_publisher
from workers.foodfolio import item_expiration, stock_level
from workers.link import link_expiration
from workers.notification import notification_cleanup
from workers.twitchbot import message_cleanup, stream_closer
from workers.webhook import webhook_cleanup, webhook_retry


def post(**columns: object) -> Row:
    return Row("blog_posts", {"status": "draft", "published_at": NOW - DAY, **columns})


POST_PUBLISHER = Case(
    post_publisher.SCHEDULER,
    due={
        "for a day": post(),
        "for a microsecond": post(published_at=NOW - MICROSECOND),
        "exactly now": post(published_at=NOW),
        "featured": post(featured=True, author_id="ada"),
    },
    stays={
        "in a microsecond": post(published_at=NOW + MICROSECOND),
        "not scheduled": post(published_at=None),
        "published already": post(status="published"),
        "soft-deleted": post(deleted_at=NOW - HOUR),
        "soft-deleted, as Go's zero time": post(deleted_at=GO_ZERO_TIME),
    },
    changes={"status": "published", "updated_at": NOW},
    announces=True,
    unique="slug",
)


def link(**columns: object) -> Row:
    return Row("link_links", {"expires_at": NOW - DAY, **columns})


LINK_EXPIRATION = Case(
    link_expiration.SCHEDULER,
    due={
        "for a day": link(),
        "for a microsecond": link(expires_at=NOW - MICROSECOND),
        "exactly now": link(expires_at=NOW),
        "clicked": Row("link_links", link().columns, {"link_id": [Row("link_clicks")]}),
    },
    stays={
        "in a microsecond": link(expires_at=NOW + MICROSECOND),
        "never expires": link(expires_at=None),
        "switched off already": link(is_active=False),
        "soft-deleted": link(deleted_at=NOW - HOUR),
    },
    changes={"is_active": False, "updated_at": NOW},
    announces=True,
    unique="short_code",
)


def item(**columns: object) -> Row:
    return Row("foodfolio_item_details", {"expiry_date": NOW - DAY, **columns})


ITEM_EXPIRATION = Case(
    item_expiration.SCHEDULER,
    due={
        "expired a day ago": item(),
        "expires now": item(expiry_date=NOW),
        "expires in a microsecond": item(expiry_date=NOW + MICROSECOND),
        "expires in seven days": item(expiry_date=NOW + 7 * DAY),
        "opened": item(is_opened=True, opened_date=NOW - DAY),
    },
    stays={
        "expires in seven days and a microsecond": item(expiry_date=NOW + 7 * DAY + MICROSECOND),
        "does not expire": item(expiry_date=None),
        "consumed": item(deleted_at=NOW - HOUR),
    },
    changes={},
    announces=True,
)


def variant(min_sku: int, *items: Row, **columns: object) -> Row:
    children = {"item_variant_id": items}
    return Row("foodfolio_item_variants", {"min_sku": min_sku, **columns}, children)


def stored(**columns: object) -> Row:
    return Row("foodfolio_item_details", columns)


STOCK_LEVEL = Case(
    stock_level.SCHEDULER,
    due={
        "none, with no minimum": variant(0),
        "one of a minimum of two": variant(2, stored()),
        "none but an opened one": variant(1, stored(is_opened=True)),
        "none but a consumed one": variant(1, stored(deleted_at=NOW - HOUR)),
        "none but one opened long ago": variant(
            0, stored(opened_date=NOW - 30 * DAY - MICROSECOND)
        ),
    },
    stays={
        "exactly the minimum": variant(2, stored(), stored()),
        "one, with no minimum": variant(0, stored()),
        "one opened thirty days ago": variant(1, stored(opened_date=NOW - 30 * DAY)),
        "soft-deleted": variant(2, deleted_at=NOW - HOUR),
    },
    changes={},
    announces=True,
    unique="slug",
)


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

NEVER = {f"last_{what}_at": GO_ZERO_TIME for what in ("delivery", "success", "failure")}


def webhook(**columns: object) -> Row:
    return Row("webhook_webhooks", {**NEVER, **columns})


def delivery(**columns: object) -> Row:
    values = {"status": "failed", "attempt_count": 1, "webhook_id": webhook(), **columns}
    return Row("webhook_deliveries", values)


WEBHOOK_RETRY = Case(
    webhook_retry.SCHEDULER,
    due={
        "failed once": delivery(),
        "failed a year ago": delivery(created_at=NOW - 365 * DAY, last_attempt_at=NOW - 365 * DAY),
        "planned before": delivery(next_retry_at=NOW - MINUTE, completed_at=NOW - HOUR),
    },
    stays={
        "no attempt left": delivery(attempt_count=3),
        "more attempts than there were": delivery(attempt_count=4),
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
    attempts = [Row("webhook_delivery_attempts"), *more_attempts]
    return Row("webhook_deliveries", values, {"delivery_id": attempts})


WEBHOOK_CLEANUP = Case(
    webhook_cleanup.SCHEDULER,
    due={
        "created 31 days ago": old_delivery(),
        "tried twice": old_delivery(Row("webhook_delivery_attempts", {"deleted_at": NOW - DAY})),
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

CASES = (
    POST_PUBLISHER,
    ITEM_EXPIRATION,
    STOCK_LEVEL,
    LINK_EXPIRATION,
    NOTIFICATION_CLEANUP,
    MESSAGE_CLEANUP,
    STREAM_CLOSER,
    WEBHOOK_RETRY,
    WEBHOOK_CLEANUP,
)
