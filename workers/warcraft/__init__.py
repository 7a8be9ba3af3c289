"""warcraft: keeps characters and guilds as Battle.net has them."""

from common.scheduling import Service
from workers.warcraft import character_sync, guild_sync

SERVICE = Service("warcraft", (character_sync.SCHEDULER, guild_sync.SCHEDULER), metrics_port=9807)
