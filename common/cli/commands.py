"""The command ``toast``.

The caller passes the services, because common knows none.
"""

import argparse
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import psycopg

from common import config, exit_codes

# Each command imports what only it needs, so that `toast run` stays small.
from common.cli import arguments as command_line
from common.cli import output
from common.cli.output import OutputError
from common.config import Settings, SettingsError, Variable, suggestions
from common.database import migrations, own_tables
from common.database.advice import advised
from common.database.connection import Database
from common.errors import PassError
from common.logging import logs, redaction
from common.scheduling.scheduler import Service
from common.worker import worker_process
from common.worker.progress import ProgressLine


@dataclass(frozen=True, slots=True)
class Services:
    """The names of all services, and how to load one."""

    names: Sequence[str]
    load: Callable[[str], Service]


class UsageError(Exception):
    """An unknown service or scheduler, or a wrong option; the message names the known ones."""


def main(services: Services, arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns its exit code (common/exit_codes.py)."""
    try:
        return _run_command(services, command_line.parser(services.names).parse_args(arguments))
    except OutputError as error:
        if isinstance(error.reason, BrokenPipeError):
            return exit_codes.READER_GONE
        output.complain(f"toast: the output cannot be written: {error}")
        return exit_codes.UNWRITABLE


def _run_command(services: Services, options: argparse.Namespace) -> int:
    try:
        return _COMMANDS[options.command](services, options)
    except UsageError as error:
        code, text = exit_codes.USAGE, f"toast: {error}"
    except SettingsError as error:
        code, text = exit_codes.BAD_SETTINGS, str(error)
    except (psycopg.Error, PassError) as error:
        code, text = exit_codes.FAILED, f"toast: {advised(str(error), error)}"
    text = output.complain(text)
    if options.json:
        output.show(output.as_json({"error": text.removeprefix("toast: ")}))
    return code


def _service(services: Services, name: str) -> Service:
    return services.load(_known(name, services.names, "service"))


def _known(name: str, names: Iterable[str], what: str) -> str:
    """Return the name if it is known. Raises UsageError with the nearest and all known names."""
    known = list(names)
    if name in known:
        return name
    near = suggestions.nearest(name, known, slips=max(2, len(name) // 3))
    question = f" Did you mean {near}?" if near else ""
    listed = f"Known: {', '.join(known)}." if known else f"It has no {what}."
    raise UsageError(f"unknown {what} {name!r}.{question} {listed}")


def _list(services: Services, options: argparse.Namespace) -> int:
    from common.cli import text_table

    jobs, settings_of = [], []
    every = [services.load(name) for name in services.names]
    for service, settings in _with_settings(every):
        for scheduler in service.schedulers:
            enabled = "yes" if settings[scheduler.enabled] else "no"
            interval = settings.written(scheduler.interval)
            jobs.append((service.name, scheduler.name, interval, enabled, scheduler.summary))
        for variable in service.variables:
            origin = settings.origin(variable)
            settings_of.append((variable.name, settings.written(variable), origin, variable.help))
    header = ("service", "scheduler", "interval", "enabled", "what it does")
    second = text_table.render(("setting", "value", "from", "meaning"), settings_of)
    output.show(f"{text_table.render(header, jobs)}\n\n{second}")
    return exit_codes.FINE


def _with_settings(
    services: Iterable[Service], common: Iterable[Variable[Any]] = ()
) -> list[tuple[Service, Settings]]:
    """Each service with its settings. Raises SettingsError with the faults of all of them."""
    found: list[tuple[Service, Settings]] = []
    faults: list[str] = []
    warnings: list[str] = []
    for service in services:
        try:
            found.append((service, config.load(service.name, service.variables, common=common)))
        except SettingsError as error:
            faults += error.faults
            warnings += error.warnings
    if faults:
        # A fault in a shared file occurs once per service.
        raise SettingsError(dict.fromkeys(faults), dict.fromkeys(warnings))
    _print_warnings(settings for _, settings in found)
    return found


def _print_warnings(several: Iterable[Settings]) -> None:
    for text in dict.fromkeys(text for settings in several for text in settings.warnings):
        output.complain(f"toast: {text}")


def _settings(services: Services, options: argparse.Namespace) -> int:
    from common.cli import settings_reference

    every = [services.load(name) for name in services.names]
    form = settings_reference.example if options.example else settings_reference.markdown
    output.show(form(every))
    return exit_codes.FINE


def _run(services: Services, options: argparse.Namespace) -> int:
    return worker_process.main(_service(services, options.service))


def _check(services: Services, options: argparse.Namespace) -> int:
    from common.cli.check import check

    report = check(_chosen(services, options))
    output.show_report(report, as_json=options.json)
    return report.exit_code


def _chosen(services: Services, options: argparse.Namespace) -> list[Service]:
    """The named service, or all."""
    names = services.names if options.service is None else [options.service]
    return [_service(services, name) for name in names]


def _status(services: Services, options: argparse.Namespace) -> int:
    from common.cli.status import screen

    chosen = _with_settings(_chosen(services, options), config.COMMON)
    _log_for_a_person(chosen[0][1])
    if not options.watch:
        return exit_codes.FAILED if screen.show(chosen, as_json=options.json) else exit_codes.FINE
    if not sys.stdout.isatty():
        raise UsageError("--watch needs a terminal; use --json, or no option")
    screen.watch(chosen)
    return exit_codes.FINE


def _once(services: Services, options: argparse.Namespace) -> int:
    from common.cli import once

    service = _service(services, options.service)
    by_name = {scheduler.name: scheduler for scheduler in service.schedulers}
    if options.scheduler is not None:
        _known(options.scheduler, by_name, f"scheduler of {service.name}")
    settings = config.load(service.name, service.variables, needs=service.needs)
    _print_warnings([settings])
    _log_for_a_person(settings)
    if options.scheduler is not None:  # runs even if it is disabled
        chosen = [by_name[options.scheduler]]
    else:
        chosen = [each for each in service.schedulers if settings[each.enabled]]
    if options.dry_run:
        answer = once.dry_run(chosen, settings)
    else:
        line = [ProgressLine(sys.stderr)] if sys.stderr.isatty() else []
        answer = once.run(chosen, settings, line)
    output.show_report(answer, as_json=options.json)
    return answer.exit_code


def _migrate(services: Services, options: argparse.Namespace) -> int:
    from common.cli import migrate_command

    with _database(services, options).connect() as connection:
        done, faults = migrate_command.run(connection, _chosen(services, options))
    if done:
        output.show("\n".join(done))
    if faults:
        raise PassError("\n".join(faults))
    return exit_codes.FINE


def _roles(services: Services, options: argparse.Namespace) -> int:
    from common.cli import roles

    output.show(roles.sql([services.load(name) for name in services.names]))
    return exit_codes.FINE


def _outbox(services: Services, options: argparse.Namespace) -> int:
    from common.cli import outbox_command

    with _database(services, options).connect() as connection:
        migrations.require(connection, own_tables.PUBLISHING, may_apply=False)
        if "change" not in options:
            output.show_report(outbox_command.overview(connection), as_json=options.json)
            return exit_codes.FINE
        outbox_command.change(connection, options.change, options.id)
    done = {"done": options.done, "event": options.id}
    output.show(output.as_json(done) if options.json else "{done}: event {event}".format(**done))
    return exit_codes.FINE


def _database(services: Services, options: argparse.Namespace) -> Database:
    """The database of the named service, or of the common settings."""
    name = options.service
    settings = config.load("toast" if name is None else _service(services, name).name, ())
    _print_warnings([settings])
    _log_for_a_person(settings)
    return Database(settings)


def _log_for_a_person(settings: Settings) -> None:
    """Log only warnings beside the output, unless LOG_LEVEL is set."""
    chosen = settings.origin(config.LOG_LEVEL) != "default"
    level = settings[config.LOG_LEVEL] if chosen else "warning"
    logs.configure(level, settings[config.LOG_FORMAT])
    redaction.register(settings.secrets)


_COMMANDS: Mapping[str, Callable[[Services, argparse.Namespace], int]] = {
    "list": _list,
    "settings": _settings,
    "check": _check,
    "run": _run,
    "status": _status,
    "once": _once,
    "migrate": _migrate,
    "roles": _roles,
    "outbox": _outbox,
}
