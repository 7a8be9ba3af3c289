"""`toast takeover SERVICE`: shows what the first passes would do, asks, and does them.

A pass of it is the worker's own, in the same batches, recorded and logged like that; only rows that
became due long ago leave no event. If it is killed, the next one does the rest.
"""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from common import exit_codes
from common.cli import output, time_span
from common.cli.once import passes
from common.cli.services import UsageError
from common.cli.takeover import plan as planning
from common.config import Settings
from common.scheduling.first_pass import Takeover
from common.scheduling.observer import Observer
from common.scheduling.scheduler import Scheduler


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the command line asks for; ``announce`` is "" if first passes shall only be shown."""

    announce: str
    takeover: Takeover
    is_confirmed: bool
    only_show: bool
    as_json: bool
    adopts: bool


def wanted(options: argparse.Namespace) -> Wanted:
    """Read the options. Raises UsageError."""
    if options.yes and options.announce is None:
        raise UsageError("--yes needs --announce: say which rows are to leave events")
    announce = options.announce or ""
    only_show = options.dry_run or not announce
    takeover = parse(announce or "all")
    return Wanted(announce, takeover, options.yes, only_show, options.json, options.adopt)


def parse(announce: str) -> Takeover:
    """The passes that announce ``all``, ``none``, or ``since:`` a duration. Raises UsageError."""
    if announce in ("all", "none"):
        return Takeover(None if announce == "all" else timedelta())
    word, _, length = announce.partition(":")
    try:
        if word == "since":
            return Takeover(time_span.parse(length))
        reason = "unknown"
    except ValueError as fault:
        reason = str(fault)
    raise UsageError(
        f"--announce {announce!r} ({reason}); expected all, none, or since: and "
        f"{time_span.EXPECTED}"
    )


def run(
    schedulers: Sequence[Scheduler],
    settings: Settings,
    wanted: Wanted,
    observers: Sequence[Observer] = (),
) -> int:
    """Show the plan; run its passes if that is wanted and confirmed. Returns the exit code."""
    plan = planning.plan(schedulers, settings, wanted.takeover, wanted.announce or "all")
    if not wanted.as_json:
        output.show(plan.as_text(adopts=wanted.adopts))
    report = None
    if _is_confirmed(wanted):
        chosen = [each for each in schedulers if not planning.why_left(each, wanted.takeover)]
        report = passes.run(chosen, settings, observers, takeover=wanted.takeover)
    if wanted.as_json:
        output.show(output.as_json({**plan.facts, "done": report.facts if report else None}))
    elif report:
        output.show(f"\n{report.as_text()}")
    if report and any(each.result == "skipped" for each in report.schedulers):
        return exit_codes.FAILED
    if report:
        return report.exit_code
    return exit_codes.FAILED if plan.failed else exit_codes.FINE


def _is_confirmed(wanted: Wanted) -> bool:
    if wanted.only_show or wanted.is_confirmed:
        return not wanted.only_show
    if wanted.as_json:
        return False
    if not output.can_ask():
        output.show("nothing is changed: add --yes to do it")
        return False
    return output.ask("Do this now?")
