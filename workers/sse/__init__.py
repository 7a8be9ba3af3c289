"""sse: disconnects inactive clients of the event stream."""

from common.scheduling import LiveService, Service
from common.scheduling.live_service import LOGIN, SERVER
from workers.sse import client_cleanup

SERVICE = Service(
    "sse",
    (client_cleanup.SCHEDULER,),
    metrics_port=9805,
    live=LiveService(
        defaults={"DB_NAME": "sse_db"},
        only_names={"DB_SSL_MODE": "DB_SSLMODE"},
        reads=(
            *(*SERVER, *LOGIN, "AUTH_ENABLED"),
            *("KAFKA_GROUP_ID", "KAFKA_TOPICS", "KAFKA_AUTO_OFFSET_RESET"),
            *("SSE_MAX_CLIENTS", "SSE_HEARTBEAT_SECONDS", "SSE_EVENT_BUFFER_SIZE"),
            *("SSE_HISTORY_SIZE", "CORS_ALLOWED_ORIGINS", "CORS_ALLOWED_METHODS"),
            *("CORS_ALLOWED_HEADERS", "RATE_LIMIT_ENABLED", "RATE_LIMIT_REQUESTS_PER_MIN"),
            "RATE_LIMIT_BURST_SIZE",
        ),
    ),
)
