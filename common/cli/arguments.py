"""The command line of ``toast``: its commands and their arguments."""

import argparse
from collections.abc import Sequence
from typing import NoReturn

from common.events import outbox
from common.logging import redaction


def parse(services: Sequence[str], arguments: Sequence[str] | None) -> argparse.Namespace:
    """Parse the command line; ``command`` names the command. Exits on wrong usage."""
    parser = _Parser(prog="toast", description="The background jobs of ToxicToast.")
    _Commands(parser, services).add_all()
    return parser.parse_args(arguments)


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        """Exit with the message, redacted: it may quote a password."""
        super().error(redaction.redact(message))


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
        inspect.add_argument("--json", action="store_true", help="print a list of JSON objects")
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
        output = status.add_mutually_exclusive_group()
        output.add_argument("--watch", action="store_true", help="keep the terminal current")
        output.add_argument("--json", action="store_true", help="print one JSON object")

    def _once(self) -> None:
        once = self._add("once", "run one pass now, publish its events and print the counts")
        self._service(once)
        once.add_argument(
            "scheduler", metavar="SCHEDULER", nargs="?", help="all enabled if left out"
        )
        once.add_argument("--dry-run", action="store_true", help="change nothing, show what is due")
        once.add_argument("--json", action="store_true", help="print one JSON object")

    def _outbox(self) -> None:
        box = self._add("outbox", "show the events that wait or were set aside")
        self._settings_of(box)
        actions = box.add_subparsers(metavar="ACTION")
        actions.add_parser("list", help="show them (the default)")
        for action, change, help in (
            ("retry", outbox.retry, "send an event that was set aside after all"),
            ("drop", outbox.drop, "delete an event that was set aside"),
        ):
            subparser = actions.add_parser(action, help=help)
            subparser.add_argument("id", metavar="ID", type=int, help="as `toast outbox` shows it")
            subparser.set_defaults(change=change, done=action)

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
