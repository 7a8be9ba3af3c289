"""blog: publishes scheduled posts."""

from common.scheduling import LiveService, Service
from common.scheduling.live_service import LOGIN_WITH_KEYS, POOL, SERVER
from workers.blog import post_publisher

SERVICE = Service(
    "blog",
    (post_publisher.SCHEDULER,),
    metrics_port=9801,
    live=LiveService(
        only_names={"DB_SSL_MODE": "DB_SSL_MODE"},
        reads=(
            *(*SERVER, *POOL, *LOGIN_WITH_KEYS, "AUTH_ENABLED", "KAFKA_GROUP_ID"),
            *("KAFKA_TOPIC_PREFIX", "KAFKA_TOPIC_POST_EVENTS", "KAFKA_TOPIC_COMMENT_EVENTS"),
            *("KAFKA_TOPIC_MEDIA_EVENTS", "MEDIA_STORAGE_PATH", "MEDIA_MAX_SIZE"),
            *("MEDIA_ALLOWED_TYPES", "MEDIA_GENERATE_THUMBNAILS", "MEDIA_THUMBNAIL_SIZES"),
            *("MEDIA_AUTO_RESIZE_LARGE", "MEDIA_MAX_IMAGE_WIDTH", "MEDIA_MAX_IMAGE_HEIGHT"),
        ),
    ),
)
