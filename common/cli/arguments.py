"""The command line of ``toast``: its commands and their arguments."""

import argparse
import uuid
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from common.cli.parser import (
    LINES,
    Parser,
    add_filters,
    add_json,
    add_list_options,
    add_since,
)
from common.version import VERSION


def parser(services: Sequence[str]) -> argparse.ArgumentParser:
    """The parser of the command line; ``command`` names the command, ``json`` if JSON is wanted."""
    parser = Parser(prog="toast", description="The background jobs of ToxicToast.")
    parser.add_argument("--version", action="version", version=f"toast-workers {VERSION}")
    parser.set_defaults(json=False)
    _Commands(parser, services).add_all()
    return parser


class _Commands:
    def __init__(self, parser: argparse.ArgumentParser, services: Sequence[str]) -> None:
        self._commands = parser.add_subparsers(metavar="COMMAND", required=True)
        self._known = f"one of {', '.join(services)}"

    def add_all(self) -> None:
        """Add all commands, in the order of the help."""
        add_json(self._add("list", "show the schedulers, and where each setting came from"))
        self._settings()
        inspect = self._add("check", "say what is missing for the workers, and what to do")
        self._service(inspect, optional=True, also=", or web for the page")
        add_json(inspect, "print a list of JSON objects")
        self._service(self._add("run", "run the worker of one service until it is stopped"))
        self._status()
        self._once()
        migrate = self._add("migrate", "create or update the tables of our own")
        self._settings_of(migrate)
        migrate.add_argument("--topics", action="store_true", help="create missing topics, too")
        self._takeover()
        self._add("roles", "print SQL that creates a role for each service: db/roles.sql")
        self._pauses()
        self._trigger()
        self._outbox()
        self._rows()
        self._runs()
        self._audit()
        self._why()
        self._web()

    def _settings(self) -> None:
        settings = self._add("settings", "print the reference of all settings as a table")
        form = settings.add_mutually_exclusive_group()
        form.add_argument(
            "--example", action="store_true", help="print a commented settings file instead"
        )
        add_json(form, "print a list of JSON objects")

    def _status(self) -> None:
        status = self._add("status", "show what every scheduler last did, and what waits")
        self._service(status, optional=True)
        form = status.add_mutually_exclusive_group()
        form.add_argument(
            "--watch", action="store_true", help="keep the terminal current; q leaves"
        )
        add_json(form)

    def _once(self) -> None:
        once = self._add("once", "run one pass now, publish its events and print the counts")
        self._service(once)
        _scheduler(once, "all enabled if left out")
        once.add_argument("--dry-run", action="store_true", help="change nothing, show what is due")
        once.add_argument("--force", action="store_true", help="run it even if it is paused")
        once.add_argument(
            "--no-wait-events",
            action="store_true",
            help="do not wait for a worker that publishes; events that are left are no failure",
        )
        add_json(once)

    def _pauses(self) -> None:
        pause = self._add("pause", "let no worker run a scheduler, on any machine")
        self._service(pause)
        _scheduler(pause)
        end = pause.add_mutually_exclusive_group(required=True)
        end.add_argument("--for", dest="span", metavar="DURATION", help="for 2h, 30m, 7d, ...")
        end.add_argument(
            "--until", metavar="TIME", help="until '2026-12-24 18:00', by this machine's time zone"
        )
        end.add_argument("--indefinitely", action="store_true", help="until it is resumed")
        pause.add_argument("--reason", metavar="TEXT", required=True, help="shown to everybody")
        add_json(pause)
        resume = self._add("resume", "end the pause of a scheduler")
        self._service(resume)
        _scheduler(resume)
        add_json(resume)

    def _trigger(self) -> None:
        trigger = self._add("trigger", "let the running worker of this machine do a pass now")
        self._service(trigger)
        _scheduler(trigger, "all enabled if left out")
        trigger.add_argument(
            "--no-wait", dest="wait", action="store_false", help="do not wait for its end"
        )
        add_json(trigger)

    def _runs(self) -> None:
        runs = self._add("runs", "show the passes of the last 30 days, the newest first")
        self._service(runs, optional=True)
        _scheduler(runs)
        runs.add_argument("--failed", action="store_true", help="only those that failed")
        add_since(runs)
        add_json(runs, LINES)

    def _audit(self) -> None:
        audit = self._add("audit", "show what operators did in the last year, the newest first")
        self._settings_of(audit)
        add_since(audit)
        add_json(audit, LINES)

    def _why(self) -> None:
        why = self._add("why", "say why a row was not processed: each condition, met or not")
        self._service(why)
        why.add_argument("scheduler", metavar="SCHEDULER", help="that should process it")
        why.add_argument("id", metavar="ID", help="of the row, or of what else it processes")
        add_json(why)

    def _takeover(self) -> None:
        takeover = self._add("takeover", "take over from the live services: first passes, settings")
        takeover.add_argument(
            "names",
            metavar="SERVICE [SCHEDULER]",
            nargs="*",
            help="show what its first passes would do; with --from and --switch-off: services, "
            "all if left out",
        )
        takeover.add_argument(
            "--announce",
            metavar="WHICH",
            help="do first passes, with events for all rows, for none, or only for those that "
            "became due within since:DURATION, such as since:7d or since:12h",
        )
        takeover.add_argument(
            "--adopt",
            action="store_true",
            help="instead, let rows be sent that a crash of the live service left;"
            " those that are not announced are given up",
        )
        answer = takeover.add_mutually_exclusive_group()
        answer.add_argument("--dry-run", action="store_true", help="only show them")
        answer.add_argument("--yes", action="store_true", help="do them without a question")
        add_json(takeover)
        self._settings_to_take_over(takeover)

    def _settings_to_take_over(self, takeover: argparse.ArgumentParser) -> None:
        takeover.add_argument(
            "--from",
            dest="files",
            metavar="FILE",
            type=Path,
            action="append",
            default=[],
            help="print the settings of this .env or Compose file; given again, the later counts",
        )
        takeover.add_argument(
            "--output", metavar="FOLDER", type=Path, help="write them, with secrets, to new files"
        )
        takeover.add_argument(
            "--switch-off",
            action="store_true",
            help="print the lines that switch the live schedulers off",
        )

    def _outbox(self) -> None:
        actions = {
            "list": "show them (the default)",
            "show": "show one event with its payload",
            "retry": "send events that were set aside after all",
            "drop": "delete events that were set aside",
        }
        help = "show the events that wait or were set aside"
        id_help = "of the event, as the list has it"
        self._with_actions("outbox", help, actions, int, id_help, ("service", "topic"))

    def _rows(self) -> None:
        actions = {
            "list": "show them (the default)",
            "show": "show one row with its whole reason",
            "retry": "let the next pass try them again",
            "drop": "leave them alone for good, unless they are retried",
        }
        help = "show the rows that could not be processed and were set aside"
        filters = ("service", "scheduler", "reason")
        self._with_actions("rows", help, actions, uuid.UUID, "of the row", filters)

    def _with_actions(
        self,
        name: str,
        help: str,
        actions: Mapping[str, str],
        id_type: Callable[[str], object],
        id_help: str,
        filters: Sequence[str],
    ) -> None:
        """Add a command whose actions list, show or change what is chosen by ids or filters."""
        command = self._add(name, help)
        command.set_defaults(action="list", id=[], **dict.fromkeys(filters))
        add_list_options(command, filters)
        parsers = command.add_subparsers(metavar="[ACTION]")
        for action, about in actions.items():
            parser = parsers.add_parser(action, help=about, description=about)
            parser.set_defaults(action=action)
            if action == "list":
                add_list_options(parser, filters)
            elif action == "show":
                parser.add_argument("id", metavar="ID", type=id_type, help=id_help)
                add_filters(parser, ("service",))
                add_json(parser)
            else:
                parser.add_argument("id", metavar="ID", type=id_type, nargs="*", help=id_help)
                add_filters(parser, filters)
                parser.add_argument("--all", action="store_true", help="all of them")
                parser.add_argument("--yes", action="store_true", help="do not ask")
                add_json(parser)

    def _add(self, name: str, help: str) -> argparse.ArgumentParser:
        command = self._commands.add_parser(name, help=help, description=help)
        command.set_defaults(command=name)
        return command

    def _service(
        self, command: argparse.ArgumentParser, *, optional: bool = False, also: str = ""
    ) -> None:
        if optional:
            help = f"{self._known}{also}; all if left out"
            command.add_argument("service", metavar="SERVICE", nargs="?", help=help)
        else:
            command.add_argument("service", metavar="SERVICE", help=self._known)

    def _web(self) -> None:
        web = self._add("web", "serve the page that shows the schedulers, and lets operators act")
        help = "print a link that logs in to the page once, within ten minutes"
        web.add_argument("action", metavar="link", nargs="?", choices=("link",), help=help)

    def _settings_of(self, command: argparse.ArgumentParser) -> None:
        command.add_argument(
            "--service", metavar="SERVICE", help="use this service's settings, not only the common"
        )


def _scheduler(command: argparse.ArgumentParser, help: str = "all if left out") -> None:
    command.add_argument("scheduler", metavar="SCHEDULER", nargs="?", help=help)
