"""The message to post for one notification: its webhook and its embed."""

from dataclasses import dataclass
from typing import Any

from psycopg.rows import DictRow

from workers.notification import discord, embed
from workers.notification.due_notifications import Channel


@dataclass(frozen=True, slots=True)
class DiscordMessage:
    """One notification, ready to be posted."""

    channel: Channel
    row: DictRow
    webhook: discord.Webhook
    embed: dict[str, Any]


def build_message(channel: Channel, row: DictRow, allow_loopback_http: bool) -> DiscordMessage:
    """Build the message of one row. Raises UnusableUrl or UnreadablePayload."""
    webhook = discord.webhook(row["webhook_url"], allow_loopback_http=allow_loopback_http)
    event = embed.rebuild(
        row["event_payload"],
        event_id=row["event_id"],
        event_type=row["event_type"],
        created_at=row["created_at"],
    )
    return DiscordMessage(channel, row, webhook, embed.embed(event, row["color"]))
