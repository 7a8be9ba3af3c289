"""What the commands that change many rows have in common: the choice, the question, the answer."""

import argparse

from common import exit_codes
from common.cli import output
from common.cli.operate.action import Done
from common.cli.services import UsageError
from common.database.audit import Changed
from common.errors import PassError


def require_choice(options: argparse.Namespace, *filters: str) -> None:
    """Require ids, one of these options, or ``--all`` alone. Raises UsageError."""
    given = [name for name in ("id", *filters) if getattr(options, name)]
    ways = f"an ID, {', '.join(f'--{name}' for name in filters)} or --all"
    if options.all and given:
        raise UsageError(f"--all and {_as_given(given[0])} exclude each other")
    if not (options.all or given):
        raise UsageError(f"which? Give {ways}")


def _as_given(name: str) -> str:
    return "an ID" if name == "id" else f"--{name}"


def confirm(options: argparse.Namespace, text: str) -> None:
    """Ask at a terminal, unless ``--yes`` is given.

    Raises UsageError elsewhere, and PassError if the answer is no.
    """
    if options.yes:
        return
    if not output.can_ask():
        raise UsageError(f"{text} Nothing is changed: add --yes to do it")
    if not output.ask(text):
        raise PassError("nothing is changed")


def show(options: argparse.Namespace, what: str, done: Done) -> int:
    """Print how many rows the action changed and what it refused; returns the exit code."""
    changed, refused = done.changed, list(done.refused)
    if options.json:
        about = {"done": options.action, f"{what}s": changed.count, "first": list(changed.first)}
        output.show(output.as_json({**about, "refused": refused}))
    else:
        plural = "" if changed.count == 1 else "s"
        output.show(f"{options.action}: {changed.count} {what}{plural}{_first(changed)}")
        for text in refused:
            output.complain(f"toast: {text}")
    return exit_codes.FAILED if refused else exit_codes.FINE


def _first(changed: Changed) -> str:
    if not changed.count:
        return ""
    more = ", ..." if changed.count > len(changed.first) else ""
    return f": {', '.join(changed.first)}{more}"
