"""The table of messages in docs/wire-format.md."""

from generate import markdown
from generate.services import SERVICES


def messages() -> str:
    """A row per topic: its scheduler, the message's key and its fields."""
    rows = [
        (f"`{event.topic}`", scheduler.name, event.key, ", ".join(event.fields))
        for service in SERVICES
        for scheduler in service.schedulers
        for event in scheduler.work.events
    ]
    return markdown.table(("topic", "published by", "key", "fields"), rows)
