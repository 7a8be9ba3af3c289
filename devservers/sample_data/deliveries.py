"""Sample rows of notification and webhook: messages and their attempts."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime

from devservers.sample_data.source import DAY, HOUR, MINUTE, Row, Source

GO_ZERO_TIME = datetime(1, 1, 1, tzinfo=UTC)
# The id of a deleted Discord webhook.
GONE_WEBHOOK = 404
# The same for every webhook, so that one receiver can verify all.
WEBHOOK_SECRET = "not-a-secret"
EVENT_TYPES = ("link.expired", "blog.post.scheduled.published", "foodfolio.detail.expired")


def notification_rows(source: Source) -> Iterator[Row]:
    """notification_channels, notification_notifications, notification_attempts."""
    live = [_channel(source) for _ in range(6)]
    live.append(_channel(source, number=GONE_WEBHOOK))
    inactive = [_channel(source, active=False) for _ in range(2)]
    deleted = [_channel(source, deleted=source.ago(DAY, 50 * DAY)) for _ in range(2)]
    notifications = list(_notifications(source, live, [*inactive, *deleted]))
    yield from (*live, *inactive, *deleted)
    yield from notifications
    for notification in notifications:
        yield from _notification_attempts(source, notification)


def _channel(
    source: Source,
    *,
    number: int | None = None,
    active: bool = True,
    deleted: datetime | None = None,
) -> Row:
    number = number or source.number()
    values: dict[str, object] = {
        "id": source.id(),
        "name": f"{source.name()} channel",
        "webhook_url": f"{source.remotes.discord}/api/webhooks/{number}/not-a-secret-{number}",
        "event_types": source.one_of(("blog.*", "link.*,blog.*", "foodfolio.*")),
        "color": source.one_of((0, 3447003, 10181046)),
        "active": active,
        "description": "",
        "total_notifications": 40,
        "success_notifications": 30,
        "failed_notifications": 10,
        "last_notification_at": source.ago(MINUTE, DAY),
        "last_success_at": source.ago(MINUTE, DAY),
        "last_failure_at": None,
    }
    created = source.ago(200 * DAY, 400 * DAY)
    return Row("notification_channels", values | source.times(created, deleted))


def _notifications(source: Source, live: list[Row], inactive: list[Row]) -> Iterator[Row]:
    every = [*live, *inactive]
    old = (31 * DAY, 190 * DAY)
    recent = (MINUTE, 29 * DAY)
    for _ in range(110):  # cleanup deletes these
        yield _notification(source, source.one_of(every), "success", 1, source.ago(*old))
    for _ in range(10):  # and these, which are soft-deleted
        notification = _notification(source, source.one_of(every), "success", 1, source.ago(*old))
        notification.values["deleted_at"] = source.ago(DAY, 30 * DAY)
        yield notification
    for _ in range(120):
        yield _notification(source, source.one_of(every), "success", 1, source.ago(*recent))
    for _ in range(25):  # a retry sends these
        attempts = source.between(1, 2)
        yield _notification(source, source.one_of(live), "failed", attempts, source.ago(*recent))
    for _ in range(8):  # not sent: the channel is inactive
        yield _notification(source, source.one_of(inactive), "failed", 1, source.ago(*recent))
    for _ in range(90):  # attempts used up
        yield _notification(source, source.one_of(every), "failed", 3, source.ago(*old))
    for _ in range(15):
        yield _notification(source, source.one_of(live), "pending", 0, source.ago(MINUTE, HOUR))


def _notification(
    source: Source, channel: Row, status: str, attempts: int, created: datetime
) -> Row:
    sent = status == "success"
    values: dict[str, object] = {
        "id": source.id(),
        "channel_id": channel.id,
        **_event(source, created),
        "discord_message_id": str(source.between(10**17, 10**18)) if sent else "",
        "status": status,
        "attempt_count": attempts,
        "last_error": "HTTP 500" if status == "failed" else "",
        "sent_at": created if sent else None,
    }
    return Row("notification_notifications", values | source.times(created))


def _event(source: Source, created: datetime) -> dict[str, object]:
    """The columns of the event to send, an envelope as the services write it."""
    event_id, event_type = str(source.id()), source.one_of(EVENT_TYPES)
    payload = {
        "id": event_id,
        "type": event_type,
        "source": f"{event_type.split('.')[0]}-service",
        "timestamp": created.isoformat(),
        "data": {"title": source.name(), "number": source.number()},
    }
    return {"event_id": event_id, "event_type": event_type, "event_payload": json.dumps(payload)}


def _notification_attempts(source: Source, notification: Row) -> Iterator[Row]:
    for values in _attempts(source, notification):
        message = notification.values["discord_message_id"] if values["success"] else ""
        columns = {"notification_id": notification.id, "discord_message_id": message}
        yield Row("notification_attempts", values | columns)


def _attempts(source: Source, delivery: Row) -> Iterator[dict[str, object]]:
    """The common columns of both services' attempts; the last attempt decides."""
    count = delivery.values["attempt_count"]
    assert isinstance(count, int)
    for number in range(1, count + 1):
        success = delivery.values["status"] == "success" and number == count
        yield {
            "id": source.id(),
            "attempt_number": number,
            "response_status": 204 if success else 500,
            "response_body": "" if success else "upstream is away",
            "success": success,
            "error": "" if success else "HTTP 500",
            "duration_ms": source.between(20, 900),
            "created_at": delivery.values["created_at"],
            "deleted_at": None,
        }


def webhook_rows(source: Source) -> Iterator[Row]:
    """webhook_webhooks, webhook_deliveries, webhook_delivery_attempts."""
    live = [_webhook(source) for _ in range(8)]
    inactive = [_webhook(source, active=False) for _ in range(3)]
    deleted = [_webhook(source, deleted=source.ago(DAY, 50 * DAY)) for _ in range(2)]
    yield from (*live, *inactive, *deleted)
    deliveries = list(_deliveries(source, live, [*inactive, *deleted]))
    yield from deliveries
    urls = {hook.id: hook.values["url"] for hook in (*live, *inactive, *deleted)}
    for delivery in deliveries:
        yield from _delivery_attempts(source, delivery, urls[delivery.values["webhook_id"]])


def _webhook(source: Source, *, active: bool = True, deleted: datetime | None = None) -> Row:
    number = source.number()
    values: dict[str, object] = {
        "id": source.id(),
        "url": f"{source.remotes.receivers}/receive/{number}",
        "secret": WEBHOOK_SECRET,
        "event_types": "link.*",
        "description": source.name(),
        "active": active,
        "total_deliveries": 0,
        "success_deliveries": 0,
        "failed_deliveries": 0,
        "last_delivery_at": source.ago(MINUTE, DAY),
        "last_success_at": source.ago(MINUTE, DAY),
        "last_failure_at": GO_ZERO_TIME,  # never
    }
    created = source.ago(200 * DAY, 400 * DAY)
    return Row("webhook_webhooks", values | source.times(created, deleted))


def _deliveries(source: Source, live: list[Row], inactive: list[Row]) -> Iterator[Row]:
    every = [*live, *inactive]
    old = (31 * DAY, 190 * DAY)
    recent = (MINUTE, 29 * DAY)
    for _ in range(22):  # retry schedules these
        attempts = source.between(1, 2)
        yield _delivery(source, source.one_of(live), "failed", attempts, source.ago(*recent))
    for _ in range(10):  # but not for a webhook that is inactive or deleted
        yield _delivery(source, source.one_of(inactive), "failed", 1, source.ago(*recent))
    for _ in range(60):  # attempts used up
        yield _delivery(source, source.one_of(every), "failed", 3, source.ago(*recent))
    for status, attempts in (("success", 1), ("failed", 3)):  # cleanup deletes these
        for _ in range(70):
            row = _delivery(source, source.one_of(every), status, attempts, source.ago(*old))
            row.values["deleted_at"] = source.one_of((None, None, source.ago(DAY, 30 * DAY)))
            yield row
    for _ in range(15):  # due for the delivery pool
        delivery = _delivery(source, source.one_of(live), "retrying", 1, source.ago(*recent))
        delivery.values["next_retry_at"] = source.ago(MINUTE, HOUR)
        yield delivery
    for status, attempts in (("pending", 0), ("retrying", 2)):  # old, but not done
        for _ in range(12):
            yield _delivery(source, source.one_of(live), status, attempts, source.ago(*old))
    for _ in range(150):
        yield _delivery(source, source.one_of(every), "success", 1, source.ago(*recent))


def _delivery(source: Source, webhook: Row, status: str, attempts: int, created: datetime) -> Row:
    values: dict[str, object] = {
        "id": source.id(),
        "webhook_id": webhook.id,
        **_event(source, created),
        "status": status,
        "attempt_count": attempts,
        "next_retry_at": source.ahead(MINUTE, HOUR) if status == "retrying" else None,
        "last_attempt_at": created if attempts else None,
        "completed_at": created if status in ("success", "failed") else None,
        "last_error": "HTTP 500" if status in ("failed", "retrying") else "",
    }
    return Row("webhook_deliveries", values | source.times(created))


def _delivery_attempts(source: Source, delivery: Row, url: object) -> Iterator[Row]:
    for values in _attempts(source, delivery):
        columns = {
            "delivery_id": delivery.id,
            "request_url": url,
            "request_headers": '{"Content-Type": "application/json"}',
            "request_body": delivery.values["event_payload"],
            "response_headers": "{}",
        }
        yield Row("webhook_delivery_attempts", values | columns)
