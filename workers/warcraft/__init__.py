"""warcraft: syncs characters and guilds from Battle.net."""

from common.scheduling import LiveService, Service
from common.scheduling.live_service import LOGIN_WITH_KEYS, POOL, SERVER
from workers.warcraft import character_sync, guild_sync

SERVICE = Service(
    "warcraft",
    (character_sync.SCHEDULER, guild_sync.SCHEDULER),
    metrics_port=9807,
    live=LiveService(
        defaults={"DB_NAME": "warcraft_db", "BLIZZARD_REGION": "us"},
        only_names={"DB_SSL_MODE": "DB_SSL_MODE"},
        reads=(*SERVER, *POOL, *LOGIN_WITH_KEYS),
    ),
)
