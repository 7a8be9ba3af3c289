"""The metric of the notification service that rules of the live system already use."""

from common.metrics import REGISTRY

RETRY_QUEUE = REGISTRY.gauge(
    "notification_retry_queue_size",
    "Notifications that are due to be sent again, counted no further than 10,000.",
    ("service",),
)
