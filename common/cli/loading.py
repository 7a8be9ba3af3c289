"""The settings and the database of a command.

Warnings of the settings go to standard error, and so does the log, for a person.
"""

import argparse
from collections.abc import Iterable, Sequence
from typing import Any

from common import config
from common.cli import output
from common.cli.services import Services, scheduler_named
from common.config import Settings, SettingsError, Variable
from common.database.connection import Database
from common.logging import logs, redaction
from common.scheduling import service_settings
from common.scheduling.scheduler import Scheduler
from common.scheduling.service import Service

# What settings files, unit and program of the page are named after, like those of a service.
PAGE = "web"


def schedulers_to_run(
    service: Service, name: str | None = None
) -> tuple[Sequence[Scheduler], Settings]:
    """The named scheduler, even if it is disabled, or all enabled ones; and the settings."""
    named = [scheduler_named(service, name)] if name else []
    settings = service_settings.load(service, used=named)
    use(settings)
    return named or [each for each in service.schedulers if settings[each.enabled]], settings


def settings_to_look(service: Service, scheduler: Scheduler) -> Settings:
    """The settings with which a pass of this scheduler is explained; what only a pass needs may
    be missing."""
    settings = service_settings.load(service, complete=False, used=[scheduler])
    use(settings)
    return settings


def settings_of(services: Services, options: argparse.Namespace) -> Settings:
    """The common settings, as the service that is named has them."""
    service = None if options.service is None else services.named(options.service)
    name, read = (service.name, service.read) if service else ("toast", ())
    settings = config.load(name, (), live=read)
    use(settings)
    return settings


def settings_of_page() -> Settings:
    """The settings of the page, `toast web`, whether it is installed or not."""
    common = (*config.POSTGRES, config.LOG_LEVEL, config.LOG_FORMAT)
    return config.load(PAGE, config.PAGE, common=common)


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
    _print_warnings(settings for _, settings in found)
    return found


def database_of(settings: Settings, options: argparse.Namespace) -> Database:
    """The database, in sessions with the command's name: a worker's mean that a pass runs."""
    return Database(settings, application_name=f"toast {options.command}")


def use(settings: Settings) -> None:
    """Print the warnings of the settings, and log with them, for a person."""
    _print_warnings([settings])
    log_for_a_person(settings)


def _print_warnings(several: Iterable[Settings]) -> None:
    """Print the warnings of all these settings on standard error, each once."""
    for text in dict.fromkeys(text for settings in several for text in settings.warnings):
        output.complain(f"toast: {text}")


def log_for_a_person(settings: Settings) -> None:
    """Log only warnings beside the output, unless LOG_LEVEL is set."""
    chosen = settings.origin(config.LOG_LEVEL) != "default"
    level = settings[config.LOG_LEVEL] if chosen else "warning"
    logs.configure(level, settings[config.LOG_FORMAT])
    redaction.register(settings.secrets)
