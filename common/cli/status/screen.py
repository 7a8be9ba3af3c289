"""`toast status`: prints it once, or keeps it current on a terminal."""

import argparse
import shutil
import sys
from collections.abc import Sequence

from common import config, exit_codes
from common.cli import output
from common.cli.loading import log_for_a_person, with_settings
from common.cli.services import Services, UsageError
from common.cli.status import collector, processes
from common.cli.status import text as status_text
from common.cli.status.collector import Status
from common.cli.status.watch import watch
from common.config import Settings
from common.scheduling.service import Service


def run(services: Services, options: argparse.Namespace) -> int:
    """Show the status of the named service, or of all, once or until the operator leaves."""
    chosen = with_settings(services.chosen(options.service), config.COMMON)
    log_for_a_person(chosen[0][1])
    if not options.watch:
        return exit_codes.FAILED if show(chosen, as_json=options.json) else exit_codes.FINE
    if not sys.stdout.isatty():
        raise UsageError("--watch needs a terminal; use --json, or no option")
    watch(lambda: _collect(chosen), _text_to_watch)
    return exit_codes.FINE


def show(services: Sequence[tuple[Service, Settings]], *, as_json: bool) -> bool:
    """Print the status once; returns True if an operator must act."""
    found = _collect(services)
    # Its colours are not for `show`, which would escape them.
    output.write_raw(f"{status_text.as_json(found) if as_json else _text(found)}\n")
    return found.is_bad


def _collect(services: Sequence[tuple[Service, Settings]]) -> Status:
    endpoints = {
        service.name: (settings[config.METRICS_BIND], settings[service.metrics])
        for service, settings in services
    }
    return collector.collect(services, processes.processes(endpoints))


def _text(found: Status) -> str:
    if not sys.stdout.isatty():
        return status_text.as_text(found)
    width = shutil.get_terminal_size().columns
    return status_text.as_text(found, width=width, colours=config.colours_wanted())


def _text_to_watch(found: Status, width: int) -> str:
    colours = config.colours_wanted()
    return status_text.as_text(found, width=width, colours=colours, urgent_first=True)
