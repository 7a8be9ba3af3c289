"""The eight services, one package each.

``SERVICES`` has their names; ``load`` imports one service with its schedulers.
"""

from importlib import import_module

from common.scheduling import Service

SERVICES = ("blog", "foodfolio", "link", "notification", "sse", "twitchbot", "warcraft", "webhook")


def load(name: str) -> Service:
    """Import one service's package and no other, and return its ``SERVICE``.

    Raises KeyError for a name that is not in SERVICES.
    """
    if name not in SERVICES:
        raise KeyError(name)
    service = import_module(f"workers.{name}").SERVICE
    assert isinstance(service, Service)
    return service
