"""The command ``toast``.

The caller passes the services, because common knows none.
"""

import argparse
from collections.abc import Callable, Sequence
from importlib import import_module

import psycopg

from common import config, exit_codes, failpoints
from common.cli import arguments as command_line
from common.cli import output
from common.cli.output import OutputError
from common.cli.services import Services, UsageError
from common.config import SettingsError
from common.database.advice import advised
from common.errors import PassError

# The modules of the commands, each with a function ``run``. Only the one in use is imported, so
# that `toast run` stays small.
_COMMANDS = {
    "list": "common.cli.list_command",
    "settings": "common.cli.settings_reference",
    "check": "common.cli.check",
    "run": "common.cli.run_command",
    "status": "common.cli.status.screen",
    "once": "common.cli.once.command",
    "migrate": "common.cli.migrate_command",
    "takeover": "common.cli.takeover.command",
    "roles": "common.cli.roles",
    "outbox": "common.cli.operate.commands.outbox",
    "pause": "common.cli.operate.commands.pauses",
    "resume": "common.cli.operate.commands.pauses",
    "trigger": "common.cli.operate.commands.trigger",
    "rows": "common.cli.operate.commands.rows",
    "runs": "common.cli.operate.commands.runs",
    "audit": "common.cli.operate.commands.audit_trail",
    "why": "common.cli.operate.commands.why",
    "web": "web.command",
}


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
    run: Callable[[Services, argparse.Namespace], int]
    run = import_module(_COMMANDS[options.command]).run
    try:
        _arm_failpoint()
        return run(services, options)
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


def _arm_failpoint() -> None:
    try:
        failpoints.arm(config.failpoint())
    except ValueError as fault:
        raise SettingsError([str(fault)]) from None
