"""The eight services, one package each.

``SERVICES`` has their names; ``load`` imports one service with its schedulers.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    # Imported by the services: the command prepares for Ctrl-C before it imports that much.
    from common.scheduling import Service

SERVICES = ("blog", "foodfolio", "link", "notification", "sse", "twitchbot", "warcraft", "webhook")


def load(name: str) -> "Service":
    """Import the package of one of SERVICES and no other, and return its ``SERVICE``."""
    service: Service = import_module(f"workers.{name}").SERVICE
    return service
