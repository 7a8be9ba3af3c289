"""webhook: schedules failed deliveries for retry, cleans up old ones, and may deliver them."""

from common.scheduling import Service
from workers.webhook import webhook_cleanup, webhook_delivery, webhook_retry

SERVICE = Service(
    "webhook",
    (webhook_retry.SCHEDULER, webhook_cleanup.SCHEDULER, webhook_delivery.SCHEDULER),
    metrics_port=9808,
)
