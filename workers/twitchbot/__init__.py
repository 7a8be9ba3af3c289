"""twitchbot: deletes old chat messages and closes orphaned streams."""

from common.scheduling import LiveService, Service
from common.scheduling.live_service import LOGIN_WITH_KEYS, POOL, SERVER
from workers.twitchbot import message_cleanup, stream_closer

SERVICE = Service(
    "twitchbot",
    (message_cleanup.SCHEDULER, stream_closer.SCHEDULER),
    metrics_port=9806,
    live=LiveService(
        only_names={"DB_SSL_MODE": "DB_SSL_MODE"},
        reads=(
            *(*SERVER, *POOL, *LOGIN_WITH_KEYS, "AUTH_ENABLED", "KAFKA_GROUP_ID"),
            *("TWITCH_CHANNEL", "TWITCH_CLIENT_ID", "TWITCH_CLIENT_SECRET", "TWITCH_ACCESS_TOKEN"),
            *("TWITCH_BOT_USERNAME", "TWITCH_IRC_SERVER", "TWITCH_IRC_PORT", "TWITCH_IRC_DEBUG"),
        ),
    ),
)
