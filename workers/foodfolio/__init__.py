"""foodfolio: alerts about food that expires and stock that runs out."""

from common.scheduling import LiveService, Service
from common.scheduling.live_service import LOGIN_WITH_KEYS, POOL, SERVER
from workers.foodfolio import item_expiration, stock_level

SERVICE = Service(
    "foodfolio",
    (item_expiration.SCHEDULER, stock_level.SCHEDULER),
    metrics_port=9802,
    live=LiveService(
        only_names={"DB_SSL_MODE": "DB_SSL_MODE"},
        reads=(
            *(*SERVER, *POOL, *LOGIN_WITH_KEYS, "AUTH_ENABLED", "KAFKA_GROUP_ID"),
            *("KAFKA_TOPIC_PREFIX", "KAFKA_TOPIC_ITEM_EVENTS", "KAFKA_TOPIC_INVENTORY_EVENTS"),
            *("KAFKA_TOPIC_RECEIPT_EVENTS", "KAFKA_TOPIC_ALERT_EVENTS"),
            *("OCR_STORAGE_PATH", "OCR_MAX_SIZE", "OCR_ALLOWED_TYPES", "OCR_PROVIDER"),
        ),
    ),
)
