"""A message: where it goes, and its embed."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from workers.notification.discord import embed
from workers.notification.discord.webhook import Webhook, webhook


@dataclass(frozen=True, slots=True)
class Message:
    """One message, ready to be posted."""

    webhook: Webhook
    embed: Mapping[str, Any]


def build(row: Mapping[str, Any], *, allow_loopback_http: bool) -> Message:
    """Build the message of a notification; raises UnusableUrl or UnreadablePayload."""
    target = webhook(row["webhook_url"], allow_loopback_http=allow_loopback_http)
    event = embed.rebuild(
        row["event_payload"],
        event_id=row["event_id"],
        event_type=row["event_type"],
        created_at=row["created_at"],
    )
    return Message(target, embed.embed(event, row["color"]))
