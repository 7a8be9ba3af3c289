"""Discord channels that cannot be written to now, and why."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from common.database import usable_tables
from web.site import Asked

# Of the channel with the nil UUID everything of Discord waits.
_LIST = """
SELECT channel_id, channel_id = '00000000-0000-0000-0000-000000000000' AS is_all_of_discord,
       CASE WHEN quiet_until > clock_timestamp() THEN quiet_until END AS quiet_until,
       gone_row IS NOT NULL AS is_gone, gone_reason
FROM toast_discord_channels
WHERE gone_row IS NOT NULL OR quiet_until > clock_timestamp()
ORDER BY channel_id LIMIT 500"""


@dataclass(frozen=True, slots=True)
class Channels:
    """Channels in trouble: gone, or quiet until a time because Discord asked for it."""

    channels: Sequence[dict[str, Any]]


def load(asked: Asked) -> Channels:
    """Read them; none where the notification service is not in this database."""
    is_there = usable_tables.is_there(asked.connection, "toast_discord_channels")
    return Channels(asked.connection.execute(_LIST).fetchall() if is_there else ())
