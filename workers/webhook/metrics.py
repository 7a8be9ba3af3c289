"""The metric of the webhook service that rules of the live system already use, and the name of a
count of its passes."""

from common.metrics import REGISTRY

DELIVERY_FAILURES = REGISTRY.counter(
    "webhook_delivery_failures_total", "Attempts of webhook deliveries that failed.", ("service",)
)

# Deliveries that another process finished although a pass had a lease on them.
OVERTAKEN = "overtaken"
