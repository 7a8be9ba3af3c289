"""webhook: schedules failed deliveries for retry, cleans up old ones, and may deliver them."""

from common.scheduling import LiveService, Service
from common.scheduling.live_service import LOGIN, SERVER
from workers.webhook import delivery_adoption, webhook_cleanup, webhook_delivery, webhook_retry

SERVICE = Service(
    "webhook",
    (webhook_retry.SCHEDULER, webhook_cleanup.SCHEDULER, webhook_delivery.SCHEDULER),
    metrics_port=9808,
    live=LiveService(
        defaults={"DB_NAME": "webhook_db"},
        only_names={"DB_SSL_MODE": "DB_SSLMODE"},
        reads=(
            *(*SERVER, *LOGIN, "AUTH_ENABLED"),
            *("KAFKA_GROUP_ID", "KAFKA_TOPICS", "KAFKA_AUTO_OFFSET_RESET", "WEBHOOK_QUEUE_SIZE"),
            *("WEBHOOK_INITIAL_RETRY_DELAY", "WEBHOOK_MAX_RETRY_DELAY"),
        ),
        whole_numbers=("WEBHOOK_DELIVERY_TIMEOUT",),
        positive=("WEBHOOK_WORKER_COUNT",),
        stays_on="its delivery pool cannot be switched off (WEBHOOK_WORKER_COUNT=0 means 10), so "
        "WEBHOOK_DELIVERY_ENABLED stays false for the worker while it runs",
    ),
    adoptions=(delivery_adoption.SCHEDULER,),
)
