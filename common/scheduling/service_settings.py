"""The settings of a service."""

from collections.abc import Collection, Iterable
from typing import Any

from common import config
from common.config import Settings, Variable
from common.config.kinds import names
from common.scheduling.scheduler import Scheduler
from common.scheduling.service import Service

# Read by several services, but not by all, so a file for all of them may have these.
_OF_SEVERAL = names((config.OUTBOUND_PROXY, config.OUTBOUND_CA_FILE))


def load(
    service: Service,
    *,
    common: Iterable[Variable[Any]] = config.COMMON,
    complete: bool = True,
    used: Collection[Scheduler] = (),
    beside: Iterable[Service] | None = None,
) -> Settings:
    """Read them. Raises SettingsError with every fault.

    A wrong value is only a warning if it belongs to schedulers that are switched off, and are not
    ``used`` nevertheless. Unless ``complete``, what an enabled scheduler needs may be missing. If
    all services ``beside`` this one are known, every name of a settings file that no worker and no
    live service reads is a warning.
    """
    others = (
        None if beside is None else set(names(config.PAGE)).union(*(each.read for each in beside))
    )
    return config.load(
        service.name,
        service.variables,
        common=common,
        needs=service.needs if complete else (),
        switches=_switches(service, used),
        live=(*service.live.reads, *_OF_SEVERAL),
        others=others,
    )


def _switches(service: Service, used: Collection[Scheduler]) -> dict[str, list[str]]:
    """By name of a scheduler's setting: the names of the switches of those that read it."""
    found: dict[str, list[str]] = {}
    for scheduler in service.schedulers:
        for variable in {*scheduler.variables} - {scheduler.enabled}:
            found.setdefault(variable.name, []).append(scheduler.enabled.name)
    needed = {variable.name for scheduler in used for variable in scheduler.variables}
    return {name: switches for name, switches in found.items() if name not in needed}
