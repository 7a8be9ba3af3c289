"""The argument parser, and the options that several commands have."""

import argparse
import sys
from collections.abc import Sequence
from typing import Any, NoReturn

from common import exit_codes
from common.cli import output

LINES = "print all, each as a JSON object in a line"


class Parser(argparse.ArgumentParser):
    """Parses the command line of ``toast``; its messages cannot control the terminal, nor get
    lost."""

    def error(self, message: str) -> NoReturn:
        """Exit on wrong usage; the message may quote any argument."""
        self.print_usage(sys.stderr)
        output.complain(f"{self.prog}: error: {output.printable(message, keep='')}")
        self.exit(exit_codes.USAGE)

    def _print_message(self, message: str, file: Any = None) -> None:
        """Print help or version, of which argparse would hide that it cannot be written."""
        if file is sys.stdout:
            output.write_raw(message)
        else:
            super()._print_message(message, file)


def add_list_options(command: argparse.ArgumentParser, filters: Sequence[str]) -> None:
    add_filters(command, filters)
    add_json(command, LINES)


_FILTERS = {
    "service": "only those of this service, in the database of its settings",
    "scheduler": "only those of this scheduler",
    "topic": "only those of this topic",
    "reason": "only those whose reason has this text",
}


def add_filters(command: argparse.ArgumentParser, names: Sequence[str]) -> None:
    for name in names:
        # Without a default, which would replace an option before the action of a command.
        command.add_argument(
            f"--{name}", metavar=name.upper(), default=argparse.SUPPRESS, help=_FILTERS[name]
        )


def add_since(command: argparse.ArgumentParser) -> None:
    command.add_argument("--since", metavar="DURATION", help="only those of the last 7d, 12h, ...")


def add_json(command: argparse._ActionsContainer, help: str = "print one JSON object") -> None:
    # Without a default, which would replace a --json before the action of a command.
    command.add_argument("--json", action="store_true", default=argparse.SUPPRESS, help=help)
