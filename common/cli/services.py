"""What the commands share: the services, their settings and database, and the error of usage."""

import argparse
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from common import config
from common.cli import output
from common.config import Settings, SettingsError, Variable, suggestions
from common.database.connection import Database
from common.logging import logs, redaction
from common.scheduling import service_settings
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


def scheduler_named(service: Service, name: str) -> Scheduler:
    """A scheduler of the service. Raises UsageError with the nearest and all known names."""
    by_name = {scheduler.name: scheduler for scheduler in service.schedulers}
    return by_name[known(name, by_name, f"scheduler of {service.name}")]


def schedulers_chosen(service: Service, name: str | None) -> list[Scheduler]:
    """The named scheduler of the service, or all for None. Raises UsageError."""
    return list(service.schedulers) if name is None else [scheduler_named(service, name)]


def schedulers_to_run(
    service: Service, name: str | None = None
) -> tuple[Sequence[Scheduler], Settings]:
    """The named scheduler, even if it is disabled, or all enabled ones; and the settings."""
    named = [scheduler_named(service, name)] if name else []
    settings = service_settings.load(service, used=named)
    print_warnings([settings])
    log_for_a_person(settings)
    return named or [each for each in service.schedulers if settings[each.enabled]], settings


def known(name: str, names: Iterable[str], what: str) -> str:
    """Return the name if it is known. Raises UsageError with the nearest and all known names."""
    every = list(names)
    if name in every:
        return name
    near = suggestions.nearest(name, every, slips=max(2, len(name) // 3))
    question = f" Did you mean {near}?" if near else ""
    listed = f"Known: {', '.join(every)}." if every else f"It has no {what}."
    raise UsageError(f"unknown {what} {name!r}.{question} {listed}")


def with_settings(
    services: Iterable[Service], common: Iterable[Variable[Any]] = ()
) -> list[tuple[Service, Settings]]:
    """Each service with its settings. Raises SettingsError with the faults of all of them."""
    found: list[tuple[Service, Settings]] = []
    faults: list[str] = []
    warnings: list[str] = []
    for service in services:
        try:
            settings = service_settings.load(service, common=common, complete=False)
            found.append((service, settings))
        except SettingsError as error:
            faults += error.faults
            warnings += error.warnings
    if faults:
        # A fault in a shared file occurs once per service.
        raise SettingsError(dict.fromkeys(faults), dict.fromkeys(warnings))
    print_warnings(settings for _, settings in found)
    return found


def print_warnings(several: Iterable[Settings]) -> None:
    """Print the warnings of all these settings on standard error, each once."""
    for text in dict.fromkeys(text for settings in several for text in settings.warnings):
        output.complain(f"toast: {text}")


def database(services: Services, options: argparse.Namespace) -> Database:
    """The database of the service that is named, or of the common settings."""
    return database_of(settings_of(services, options), options)


def database_of(settings: Settings, options: argparse.Namespace) -> Database:
    """The database, in sessions with the command's name: a worker's mean that a pass runs."""
    return Database(settings, application_name=f"toast {options.command}")


def settings_of(services: Services, options: argparse.Namespace) -> Settings:
    """The common settings, as the service that is named has them."""
    name = options.service
    settings = config.load("toast" if name is None else services.named(name).name, ())
    print_warnings([settings])
    log_for_a_person(settings)
    return settings


def log_for_a_person(settings: Settings) -> None:
    """Log only warnings beside the output, unless LOG_LEVEL is set."""
    chosen = settings.origin(config.LOG_LEVEL) != "default"
    level = settings[config.LOG_LEVEL] if chosen else "warning"
    logs.configure(level, settings[config.LOG_FORMAT])
    redaction.register(settings.secrets)
