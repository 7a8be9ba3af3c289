"""The services by name, and the error of a name that none has."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from common.config import suggestions
from common.scheduling.scheduler import Scheduler
from common.scheduling.service import Service


class UsageError(Exception):
    """An unknown service or scheduler, or a wrong option; the message names the known ones."""


@dataclass(frozen=True, slots=True)
class Services:
    """The names of all services, and how to load one."""

    names: Sequence[str]
    load: Callable[[str], Service]

    def named(self, name: str) -> Service:
        """Load a service. Raises UsageError with the nearest and all known names."""
        return self.load(known(name, self.names, "service"))

    def chosen(self, name: str | None) -> list[Service]:
        """The named service, or all for None. Raises UsageError."""
        return [self.named(each) for each in (self.names if name is None else [name])]

    def every(self) -> list[Service]:
        """Every service, in order."""
        return self.chosen(None)

    def jobs(self, service: str | None, scheduler: str | None) -> list[tuple[str, str]]:
        """The chosen schedulers as (service, scheduler); None for all. Raises UsageError."""
        return [
            (each.name, one.name)
            for each in self.chosen(service)
            for one in schedulers_chosen(each, scheduler)
        ]


def scheduler_named(service: Service, name: str) -> Scheduler:
    """A scheduler of the service. Raises UsageError with the nearest and all known names."""
    by_name = {scheduler.name: scheduler for scheduler in service.schedulers}
    return by_name[known(name, by_name, f"scheduler of {service.name}")]


def schedulers_chosen(service: Service, name: str | None) -> list[Scheduler]:
    """The named scheduler of the service, or all for None. Raises UsageError."""
    return list(service.schedulers) if name is None else [scheduler_named(service, name)]


def known(name: str, names: Iterable[str], what: str) -> str:
    """Return the name if it is known. Raises UsageError with the nearest and all known names."""
    every = list(names)
    if name in every:
        return name
    near = suggestions.nearest(name, every, slips=max(2, len(name) // 3))
    question = f" Did you mean {near}?" if near else ""
    listed = f"Known: {', '.join(every)}." if every else f"It has no {what}."
    raise UsageError(f"unknown {what} {name!r}.{question} {listed}")
