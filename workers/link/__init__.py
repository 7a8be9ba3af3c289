"""link: expires short links."""

from common.scheduling import LiveService, Service
from common.scheduling.live_service import LOGIN_WITH_KEYS, POOL, SERVER
from workers.link import link_expiration

SERVICE = Service(
    "link",
    (link_expiration.SCHEDULER,),
    metrics_port=9803,
    live=LiveService(
        only_names={"DB_SSL_MODE": "DB_SSL_MODE"},
        reads=(
            *(*SERVER, *POOL, *LOGIN_WITH_KEYS, "AUTH_ENABLED", "BASE_URL", "KAFKA_GROUP_ID"),
            *("KAFKA_TOPIC_PREFIX", "KAFKA_TOPIC_LINK_EVENTS", "KAFKA_TOPIC_CLICK_EVENTS"),
            *("REDIS_ENABLED", "REDIS_HOST", "REDIS_PORT", "REDIS_PASSWORD", "REDIS_DB"),
            "REDIS_TTL",
        ),
    ),
)
