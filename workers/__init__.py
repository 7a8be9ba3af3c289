"""The eight services and their schedulers, one package each."""

from importlib import import_module

from common.scheduling import Service

SERVICES = ("blog", "foodfolio", "link", "notification", "sse", "twitchbot", "warcraft", "webhook")


def load(name: str) -> Service:
    """Import one service's package, and nothing of the others, and return its schedulers.

    Raises KeyError for a name that is not in SERVICES.
    """
    if name not in SERVICES:
        raise KeyError(name)
    service = import_module(f"workers.{name}").SERVICE
    assert isinstance(service, Service)
    return service
