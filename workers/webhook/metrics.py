"""The metric of the webhook service that rules of the live system already use."""

from common.metrics import REGISTRY

DELIVERY_FAILURES = REGISTRY.counter(
    "webhook_delivery_failures_total", "Attempts of webhook deliveries that failed.", ("service",)
)
