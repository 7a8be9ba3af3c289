"""The table of docs/metrics.md."""

import workers
from common.metrics import REGISTRY
from generate import markdown


def table() -> str:
    """Every metric of common and of the services, by name."""
    for service in workers.SERVICES:
        workers.load(service)  # declares its own ones
    rows = sorted((f"`{one.name}`", one.kind, one.documentation) for one in REGISTRY.metrics)
    return markdown.table(("metric", "type", "meaning"), rows)
