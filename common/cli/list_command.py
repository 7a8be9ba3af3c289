"""`toast list`: the schedulers, and the settings with their value and origin."""

import argparse
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from common import config, exit_codes
from common.cli import loading, output, text_table
from common.cli.loading import with_settings
from common.cli.services import Services
from common.config import Settings, Variable
from common.scheduling.service import Service

Row = Mapping[str, str | bool]
Loaded = Sequence[tuple[Service, Settings]]


def run(services: Services, options: argparse.Namespace) -> int:
    """Print both tables."""
    output.show_report(listing(services), as_json=options.json)
    return exit_codes.FINE


@dataclass(frozen=True, slots=True)
class Listing:
    """The rows of both tables, by column."""

    schedulers: Sequence[Row]
    settings: Sequence[Row]

    def as_text(self) -> str:
        return f"{_table(self.schedulers)}\n\n{_table(self.settings)}"

    def as_json(self) -> str:
        return output.as_json(asdict(self))


def listing(services: Services) -> Listing:
    """Read the settings of all services. Raises SettingsError with every fault of their own."""
    loaded = with_settings(services.every())
    settings = [*_common_settings(loaded), *_own_settings(loaded), *_settings_of_page()]
    return Listing([*_schedulers(loaded)], settings)


def _table(rows: Sequence[Row]) -> str:
    header = [name.replace("_", " ") for name in rows[0]]
    return text_table.render(header, [map(_cell, row.values()) for row in rows])


def _cell(value: str | bool) -> str:
    return value if isinstance(value, str) else "yes" if value else "no"


def _schedulers(loaded: Loaded) -> Iterator[Row]:
    for service, settings in loaded:
        for scheduler in service.schedulers:
            yield {
                "service": service.name,
                "scheduler": scheduler.name,
                "interval": settings.written(scheduler.interval),
                "enabled": settings[scheduler.enabled],
                "what_it_does": scheduler.summary,
            }


def _common_settings(loaded: Loaded) -> Iterator[Row]:
    """What every worker reads; a row for each value, if they differ.

    Unchecked: `toast list` also shows what is missing or wrong; `toast check` judges it.
    """
    written = {
        f"toast-{service.name}": config.as_written(service.name, config.COMMON)
        for service, _ in loaded
    }
    for variable in config.COMMON:
        readers: dict[tuple[str, str], list[str]] = {}
        for worker, settings in written.items():
            shown = settings.written(variable), settings.origin(variable)
            readers.setdefault(shown, []).append(worker)
        most, *others = sorted(readers.values(), key=len, reverse=True)
        for names in (most, *others):
            most_of = "every other worker" if others else "every worker"
            read_by = most_of if names is most else ", ".join(names)
            yield _setting(variable, written[names[0]], read_by)


def _own_settings(loaded: Loaded) -> Iterator[Row]:
    for service, settings in loaded:
        for variable in service.variables:
            yield _setting(variable, settings, f"toast-{service.name}")


def _settings_of_page() -> Iterator[Row]:
    """Unchecked: the page need not be in use."""
    settings = config.as_written(loading.PAGE, config.PAGE)
    for variable in config.PAGE:
        yield _setting(variable, settings, f"toast-{loading.PAGE}")


def _setting(variable: Variable[Any], settings: Settings, read_by: str) -> Row:
    origin = settings.origin(variable)
    return {
        "setting": variable.name,
        "value": settings.written(variable),
        "from": "not set" if origin == "default" and variable.default is None else origin,
        "read_by": read_by,
        "meaning": variable.help,
    }
