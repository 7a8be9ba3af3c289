"""twitchbot: deletes old chat messages and closes orphaned streams."""

from common.scheduling import LiveService, Service
from workers.twitchbot import message_cleanup, stream_closer

SERVICE = Service(
    "twitchbot",
    (message_cleanup.SCHEDULER, stream_closer.SCHEDULER),
    metrics_port=9806,
    live=LiveService(only_names={"DB_SSL_MODE": "DB_SSL_MODE"}),
)
