"""The table of docs/metrics.md."""

from common.metrics import REGISTRY
from generate import markdown


def table() -> str:
    """Every metric of common and of the services that are loaded, by name."""
    rows = sorted((f"`{one.name}`", one.kind, one.documentation) for one in REGISTRY.metrics)
    return markdown.table(("metric", "type", "meaning"), rows)
