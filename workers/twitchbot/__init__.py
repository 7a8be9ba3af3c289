"""twitchbot: deletes old chat messages and closes orphaned streams."""

from common.scheduling import Service
from workers.twitchbot import message_cleanup, stream_closer

SERVICE = Service(
    "twitchbot", (message_cleanup.SCHEDULER, stream_closer.SCHEDULER), metrics_port=9806
)
