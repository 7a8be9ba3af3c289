"""Sample rows of notification and webhook: messages and their attempts."""

import json
from collections.abc import Mapping

from devservers.sample_data.source import (
    DAY,
    HOUR,
    MINUTE,
    Draw,
    Row,
    Source,
    Template,
    ago,
    ahead,
    between,
    of,
    one_of,
    text,
)

# The id of a deleted Discord webhook.
GONE_WEBHOOK = 404
# The same for every webhook, so that one receiver can verify all.
WEBHOOK_SECRET = "not-a-secret"
EVENT_TYPES = ("link.expired", "blog.post.scheduled.published", "foodfolio.detail.expired")

OLD = ago(31 * DAY, 190 * DAY)
RECENT = ago(MINUTE, 29 * DAY)
LATELY = ago(DAY, 50 * DAY)

CHANNEL = {
    "name": text("{name} channel"),
    "event_types": one_of("blog.*", "link.*,blog.*", "foodfolio.*"),
    "color": one_of(0, 3447003, 10181046),
    "active": True,
    "last_notification_at": ago(MINUTE, DAY),
    "last_success_at": ago(MINUTE, DAY),
}
WEBHOOK = {
    "secret": WEBHOOK_SECRET,
    "event_types": "link.*",
    "description": text("{name}"),
    "active": True,
    "last_delivery_at": ago(MINUTE, DAY),
    "last_success_at": ago(MINUTE, DAY),
}


def add_rows(source: Source) -> None:
    """The tables of notification, then those of webhook."""
    _add_notifications(source)
    _add_deliveries(source)


def _add_notifications(source: Source) -> None:
    channels, table = "notification_channels", "notification_notifications"

    def url(number: int | str) -> Draw:
        return text(f"{source.remotes.discord}/api/webhooks/{number}/not-a-secret")

    live = source.add(channels, 6, CHANNEL, webhook_url=url("{n}"))
    live += source.add(channels, 1, CHANNEL, webhook_url=url(GONE_WEBHOOK))
    closed = source.add(channels, 2, CHANNEL, webhook_url=url("{n}"), active=False)
    closed += source.add(channels, 2, CHANNEL, webhook_url=url("{n}"), deleted_at=LATELY)
    every = [*live, *closed]

    def add(
        count: int, among: list[Row], status: str, attempts: object, created: Draw
    ) -> list[Row]:
        message_id = text("1{n:017d}") if status == "success" else ""
        template = _message(status, attempts, discord_message_id=message_id)
        return source.add(table, count, template, channel_id=of(among), created_at=created)

    add(110, every, "success", 1, OLD)  # the clean-up deletes these
    for row in add(10, every, "success", 1, OLD):  # and these, which are soft-deleted
        row["deleted_at"] = source.draw(LATELY)
    add(120, every, "success", 1, RECENT)
    add(25, live, "failed", between(1, 2), RECENT)  # a retry sends these
    add(8, closed, "failed", 1, RECENT)  # not sent: the channel is inactive
    add(90, every, "failed", 3, OLD)  # attempts used up
    add(15, live, "pending", 0, ago(MINUTE, HOUR))
    for notification in source.rows[table]:
        _add_attempts(
            source, "notification_attempts", notification, notification_id=notification["id"]
        )


def _add_deliveries(source: Source) -> None:
    hooks, table = "webhook_webhooks", "webhook_deliveries"
    url = text(f"{source.remotes.receivers}/receive/{{n}}")
    live = source.add(hooks, 8, WEBHOOK, url=url)
    closed = source.add(hooks, 3, WEBHOOK, url=url, active=False)
    closed += source.add(hooks, 2, WEBHOOK, url=url, deleted_at=LATELY)
    every = [*live, *closed]

    def add(
        count: int, among: list[Row], status: str, attempts: object, created: Draw, **more: object
    ) -> None:
        retry = ahead(MINUTE, HOUR) if status == "retrying" else None
        template = _message(status, attempts, next_retry_at=retry)
        columns = {"webhook_id": of(among), "created_at": created, **more}
        source.add(table, count, template, **columns)

    add(22, live, "failed", between(1, 2), RECENT)  # a retry schedules these
    add(10, closed, "failed", 1, RECENT)  # but not for a webhook that is inactive or deleted
    add(60, every, "failed", 3, RECENT)  # attempts used up
    for status, attempts in (("success", 1), ("failed", 3)):  # the clean-up deletes these
        add(70, every, status, attempts, OLD, deleted_at=one_of(None, None, ago(DAY, 30 * DAY)))
    add(15, live, "retrying", 1, RECENT, next_retry_at=ago(MINUTE, HOUR))  # due for delivery
    for status, attempts in (("pending", 0), ("retrying", 2)):  # old, but not done
        add(12, live, status, attempts, OLD)
    add(150, every, "success", 1, RECENT)
    urls = {hook["id"]: hook["url"] for hook in every}
    for delivery in source.rows[table]:
        _add_attempts(
            source,
            "webhook_delivery_attempts",
            delivery,
            delivery_id=delivery["id"],
            request_url=urls[delivery["webhook_id"]],
            request_body=delivery["event_payload"],
        )


def _message(status: str, attempts: object, **columns: object) -> Template:
    """What notifications and deliveries have in common: the event to send, and how it went."""

    def drawn(source: Source) -> Mapping[str, object]:
        event_id, event_type = f"event-{source.number()}", source.random.choice(EVENT_TYPES)
        payload = {
            "id": event_id,
            "type": event_type,
            "source": f"{event_type.split('.')[0]}-service",
            "timestamp": source.now.isoformat(),
            "data": {"title": source.name(), "number": source.number()},
        }
        return {
            "event_id": event_id,
            "event_type": event_type,
            "event_payload": json.dumps(payload),
            "status": status,
            "attempt_count": attempts,
            "last_error": "HTTP 500" if status in ("failed", "retrying") else "",
            **columns,
        }

    return drawn


def _add_attempts(source: Source, table: str, message: Row, **columns: object) -> None:
    """The attempts to send a message; the last one decides."""
    count = message["attempt_count"]
    for number in range(1, count + 1):
        success = message["status"] == "success" and number == count
        source.add(
            table,
            attempt_number=number,
            response_status=204 if success else 500,
            response_body="" if success else "upstream is away",
            success=success,
            error="" if success else "HTTP 500",
            duration_ms=between(20, 900),
            created_at=message["created_at"],
            **columns,
        )
