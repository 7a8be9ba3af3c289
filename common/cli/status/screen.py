"""`toast status`: prints it once, or keeps it current on a terminal."""

import argparse
import shutil
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from common import config, exit_codes
from common.cli import output
from common.cli.services import Services, UsageError, log_for_a_person, with_settings
from common.cli.status import collector, processes
from common.cli.status import text as status_text
from common.cli.status.collector import Status
from common.config import Settings
from common.scheduling.service import Service

WATCH_SECONDS = 2.0

# The alternate screen, without a cursor; and back.
_ENTER, _LEAVE = "\x1b[?1049h\x1b[?25l", "\x1b[?25h\x1b[?1049l"
_HOME, _CLEAR_LINE, _CLEAR_BELOW = "\x1b[H", "\x1b[K", "\x1b[J"


def run(services: Services, options: argparse.Namespace) -> int:
    """Show the status of the named service, or of all, once or until Ctrl-C."""
    chosen = with_settings(services.chosen(options.service), config.COMMON)
    log_for_a_person(chosen[0][1])
    if not options.watch:
        return exit_codes.FAILED if show(chosen, as_json=options.json) else exit_codes.FINE
    if not sys.stdout.isatty():
        raise UsageError("--watch needs a terminal; use --json, or no option")
    watch(chosen)
    return exit_codes.FINE


def show(services: Sequence[tuple[Service, Settings]], *, as_json: bool) -> bool:
    """Print the status once; returns True if an operator must act."""
    found = _collect(services)
    # Its colours are not for `show`, which would escape them.
    output.write_raw(f"{status_text.as_json(found) if as_json else _text(found)}\n")
    return found.is_bad


def watch(services: Sequence[tuple[Service, Settings]]) -> None:
    """Show the status on the terminal until Ctrl-C, then restore the terminal."""
    with _full_screen(), _until_interrupted():
        while True:
            _draw(_text(_collect(services)))
            threading.Event().wait(WATCH_SECONDS)


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


def _draw(text: str) -> None:
    """Overwrite the screen, without flicker; at most as many lines as the terminal has."""
    lines = text.splitlines()
    height = shutil.get_terminal_size().lines
    if len(lines) > height:
        lines[height - 1 :] = [f"({len(lines) - height + 1} more lines: make the terminal higher)"]
    output.write_raw(_HOME + f"{_CLEAR_LINE}\n".join(lines) + _CLEAR_LINE + _CLEAR_BELOW)


@contextmanager
def _full_screen() -> Iterator[None]:
    output.write_raw(_ENTER)
    try:
        yield
    finally:
        output.write_raw(_LEAVE)


@contextmanager
def _until_interrupted() -> Iterator[None]:
    try:
        yield
    except KeyboardInterrupt:
        return  # the normal end
