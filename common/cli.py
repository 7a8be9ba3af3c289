"""The command ``toast``.

It is given the services rather than importing them: common knows no service.
"""

import argparse
import os
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import psycopg

from common import (
    config,
    logs,
    migrations,
    once,
    outbox,
    redact,
    reference,
    spelling,
    tables,
    worker,
)
from common.config import Settings, SettingsError
from common.database import Connection, Database
from common.progress import ProgressLine
from common.scheduler import PassError, Service

EXIT_FINE = 0
EXIT_FAILED = 1
EXIT_USAGE = 2
EXIT_INTERRUPTED = 130

OUTBOX_ROWS = 100


@dataclass(frozen=True, slots=True)
class Services:
    """The names of all services, and how to load one."""

    names: Sequence[str]
    load: Callable[[str], Service]


class UsageError(Exception):
    """The command's words are off; the message says which are known."""


def main(services: Services, arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code: 0 fine, 1 it failed, 2 wrong usage, 78 settings."""
    options = _parser(services).parse_args(arguments)
    try:
        code: int = options.command(services, options)
        sys.stdout.flush()
        return code
    except UsageError as error:
        print(f"toast: {error}", file=sys.stderr)
        return EXIT_USAGE
    except SettingsError as error:
        print(error, file=sys.stderr)
        return worker.EXIT_BAD_SETTINGS
    except (psycopg.Error, PassError) as error:
        print(f"toast: {redact.redact(str(error))}", file=sys.stderr)
        return EXIT_FAILED
    except BrokenPipeError:
        # The reader (head, less) has seen enough; Python would complain again at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_FAILED
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED


def _parser(services: Services) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="toast", description="The background jobs of ToxicToast.")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    known = f"one of {', '.join(services.names)}"

    def command(
        name: str, run: Callable[[Services, argparse.Namespace], int], help: str
    ) -> argparse.ArgumentParser:
        subparser = commands.add_parser(name, help=help, description=help)
        subparser.set_defaults(command=run)
        return subparser

    command("list", _list, "show the schedulers, and where each of their settings came from")

    settings = command("settings", _settings, "print the reference of all settings as a table")
    settings.add_argument(
        "--example", action="store_true", help="print a commented settings file instead"
    )

    run = command("run", _run, "run the worker of one service until it is stopped")
    run.add_argument("service", metavar="SERVICE", help=known)

    one_pass = command("once", _once, "run one pass now, publish its events and print the counts")
    one_pass.add_argument("service", metavar="SERVICE", help=known)
    one_pass.add_argument(
        "scheduler", metavar="SCHEDULER", nargs="?", help="all enabled if left out"
    )
    one_pass.add_argument("--dry-run", action="store_true", help="change nothing, show what is due")
    one_pass.add_argument("--json", action="store_true", help="print one JSON object")

    migrate = command("migrate", _migrate, "create or update the tables of our own")
    box = command("outbox", _outbox, "show the events that wait or were set aside")
    for subparser in (migrate, box):
        subparser.add_argument(
            "--service", metavar="SERVICE", help="use this service's settings, not only the common"
        )
    actions = box.add_subparsers(metavar="ACTION")
    actions.add_parser("list", help="show them (the default)")
    for action, change, help in (
        ("retry", outbox.retry, "send an event that was set aside after all"),
        ("drop", outbox.drop, "delete an event that was set aside"),
    ):
        subparser = actions.add_parser(action, help=help)
        subparser.add_argument("id", metavar="ID", type=int, help="as `toast outbox` shows it")
        subparser.set_defaults(change=change, done=action)
    return parser


def _service(services: Services, name: str) -> Service:
    return services.load(_known(name, services.names, "service"))


def _known(name: str, names: Iterable[str], what: str) -> str:
    """Return the name if it is known. Raises UsageError with the nearest and all known ones."""
    known = list(names)
    if name in known:
        return name
    near = spelling.nearest(name, known, slips=max(2, len(name) // 3))
    question = f" Did you mean {near}?" if near else ""
    listed = f"Known: {', '.join(known)}." if known else f"It has no {what}."
    raise UsageError(f"unknown {what} {name!r}.{question} {listed}")


def _list(services: Services, options: argparse.Namespace) -> int:
    jobs, settings_of = [], []
    for service, settings in _services_with_settings(services):
        for scheduler in service.schedulers:
            enabled = "yes" if settings[scheduler.enabled] else "no"
            interval = settings.written(scheduler.interval)
            jobs.append((service.name, scheduler.name, interval, enabled, scheduler.summary))
        for variable in service.variables:
            origin = settings.origin(variable)
            settings_of.append((variable.name, settings.written(variable), origin, variable.help))
    print(tables.render(("service", "scheduler", "interval", "enabled", "what it does"), jobs))
    print()
    print(tables.render(("setting", "value", "from", "meaning"), settings_of))
    return EXIT_FINE


def _services_with_settings(services: Services) -> list[tuple[Service, Settings]]:
    """Every service with its own settings. Raises SettingsError with the faults of all of them."""
    found: list[tuple[Service, Settings]] = []
    faults: list[str] = []
    for service in map(services.load, services.names):
        try:
            found.append((service, config.load(service.name, service.variables, common=())))
        except SettingsError as error:
            faults += error.faults
    if faults:
        # A fault in a file that they share is every service's.
        raise SettingsError(dict.fromkeys(faults))
    return found


def _settings(services: Services, options: argparse.Namespace) -> int:
    every = [services.load(name) for name in services.names]
    print(reference.example(every) if options.example else reference.markdown(every))
    return EXIT_FINE


def _run(services: Services, options: argparse.Namespace) -> int:
    return worker.main(_service(services, options.service))


def _once(services: Services, options: argparse.Namespace) -> int:
    service = _service(services, options.service)
    by_name = {scheduler.name: scheduler for scheduler in service.schedulers}
    if options.scheduler is not None:
        _known(options.scheduler, by_name, f"scheduler of {service.name}")
    settings = config.load(service.name, service.variables, needs=service.needs)
    _log_for_a_person(settings)
    if options.scheduler is not None:  # by its name it runs even where it is disabled
        chosen = [by_name[options.scheduler]]
    else:
        chosen = [one for one in service.schedulers if settings[one.enabled]]
    if options.dry_run:
        answer = once.dry_run(chosen, settings)
    else:
        line = [ProgressLine(sys.stderr)] if sys.stderr.isatty() else []
        answer = once.run(chosen, settings, line)
    print(answer.as_json() if options.json else answer.as_text())
    return EXIT_FAILED if answer.failed else EXIT_FINE


def _migrate(services: Services, options: argparse.Namespace) -> int:
    with _database(services, options).connect() as connection:
        applied = migrations.migrate(connection)
    for migration in applied:
        print(f"applied {migration.name}")
    if not applied:
        print("nothing to do: every migration has been applied")
    return EXIT_FINE


def _outbox(services: Services, options: argparse.Namespace) -> int:
    with _database(services, options).connect() as connection:
        migrations.require(connection, may_apply=False)
        if "change" in options:
            return _change_event(connection, options)
        summary = outbox.summary(connection)
        rows = [_event(row) for row in outbox.listing(connection, OUTBOX_ROWS)]
    oldest = f", the oldest since {summary.oldest:%Y-%m-%d %H:%M:%S}" if summary.oldest else ""
    print(f"{summary.waiting} waiting{oldest}; {summary.set_aside} set aside")
    if rows:
        print(tables.render(("id", "service", "topic", "key", "since", "tries", "state"), rows))
    if len(rows) < summary.waiting + summary.set_aside:
        print(f"(the first {len(rows)} are shown)")
    return EXIT_FINE


def _event(row: Mapping[str, Any]) -> tuple[object, ...]:
    state = "set aside: " if row["set_aside_at"] else "refused: " if row["error"] else "waiting"
    since = f"{row['occurred_at']:%Y-%m-%d %H:%M:%S}"
    texts = (row["id"], row["service"], row["topic"], row["key"], since, row["tries"])
    return (*texts, state + row["error"])


def _change_event(connection: Connection, options: argparse.Namespace) -> int:
    if options.change(connection, options.id):
        print(f"{options.done}: event {options.id}")
        return EXIT_FINE
    waits = outbox.is_waiting(connection, options.id)
    reason = "it is waiting to be published" if waits else "no such event; see `toast outbox`"
    print(f"toast: event {options.id} is not set aside: {reason}", file=sys.stderr)
    return EXIT_FAILED


def _database(services: Services, options: argparse.Namespace) -> Database:
    """The database of the service that was named, or of the common settings."""
    name = options.service
    settings = config.load(_service(services, name).name if name else "toast", ())
    _log_for_a_person(settings)
    return Database(settings)


def _log_for_a_person(settings: Settings) -> None:
    """Only warnings beside the command's own answer, unless more was asked for."""
    chosen = settings.origin(config.LOG_LEVEL) != "default"
    level = settings[config.LOG_LEVEL] if chosen else "warning"
    logs.configure(level, settings[config.LOG_FORMAT])
    redact.register(settings.secrets)
