"""The command line of ``toast``: its commands and their arguments."""

import argparse
import sys
from collections.abc import Sequence
from typing import Any, NoReturn

from common import exit_codes
from common.cli import output
from common.events import outbox
from common.version import VERSION


def parser(services: Sequence[str]) -> argparse.ArgumentParser:
    """The parser of the command line; ``command`` names the command, ``json`` if JSON is wanted."""
    parser = _Parser(prog="toast", description="The background jobs of ToxicToast.")
    parser.add_argument("--version", action="version", version=f"toast-workers {VERSION}")
    parser.set_defaults(json=False)
    _Commands(parser, services).add_all()
    return parser


class _Parser(argparse.ArgumentParser):
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


class _Commands:
    def __init__(self, parser: argparse.ArgumentParser, services: Sequence[str]) -> None:
        self._commands = parser.add_subparsers(metavar="COMMAND", required=True)
        self._known = f"one of {', '.join(services)}"

    def add_all(self) -> None:
        """Add all commands, in the order of the help."""
        self._add("list", "show the schedulers, and where each of their settings came from")
        settings = self._add("settings", "print the reference of all settings as a table")
        settings.add_argument(
            "--example", action="store_true", help="print a commented settings file instead"
        )
        inspect = self._add("check", "say what is missing for the workers, and what to do")
        self._service(inspect, optional=True)
        _json(inspect, "print a list of JSON objects")
        self._service(self._add("run", "run the worker of one service until it is stopped"))
        self._status()
        self._once()
        migrate = self._add("migrate", "create or update the tables of our own")
        self._settings_of(migrate)
        self._add("roles", "print SQL that creates a role for each service: db/roles.sql")
        self._outbox()

    def _status(self) -> None:
        status = self._add("status", "show what every scheduler last did, and what waits")
        self._service(status, optional=True)
        form = status.add_mutually_exclusive_group()
        form.add_argument("--watch", action="store_true", help="keep the terminal current")
        _json(form)

    def _once(self) -> None:
        once = self._add("once", "run one pass now, publish its events and print the counts")
        self._service(once)
        once.add_argument(
            "scheduler", metavar="SCHEDULER", nargs="?", help="all enabled if left out"
        )
        once.add_argument("--dry-run", action="store_true", help="change nothing, show what is due")
        _json(once)

    def _outbox(self) -> None:
        box = self._add("outbox", "show the events that wait or were set aside")
        self._settings_of(box)
        _json(box)
        actions = box.add_subparsers(metavar="[ACTION]")
        _json(actions.add_parser("list", help="show them (the default)"))
        for action, change, help in (
            ("retry", outbox.retry, "send an event that was set aside after all"),
            ("drop", outbox.drop, "delete an event that was set aside"),
        ):
            subparser = actions.add_parser(action, help=help)
            subparser.add_argument("id", metavar="ID", type=int, help="as `toast outbox` shows it")
            subparser.set_defaults(change=change, done=action)
            _json(subparser)

    def _add(self, name: str, help: str) -> argparse.ArgumentParser:
        command = self._commands.add_parser(name, help=help, description=help)
        command.set_defaults(command=name)
        return command

    def _service(self, command: argparse.ArgumentParser, *, optional: bool = False) -> None:
        if optional:
            help = f"{self._known}; all if left out"
            command.add_argument("service", metavar="SERVICE", nargs="?", help=help)
        else:
            command.add_argument("service", metavar="SERVICE", help=self._known)

    def _settings_of(self, command: argparse.ArgumentParser) -> None:
        command.add_argument(
            "--service", metavar="SERVICE", help="use this service's settings, not only the common"
        )


def _json(command: argparse._ActionsContainer, help: str = "print one JSON object") -> None:
    # Without a default, which would replace a --json before the action of a command.
    command.add_argument("--json", action="store_true", default=argparse.SUPPRESS, help=help)
