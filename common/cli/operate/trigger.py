"""`toast trigger`: the running worker of this machine does a pass now."""

import argparse
import math
import time
from collections.abc import Collection, Mapping, Sequence
from functools import partial
from typing import Any

from common import exit_codes
from common.cli import output
from common.cli.once.report import NOT_RUN, PassOutcome, outcome_lines
from common.cli.operate import bulk, listing, local_worker
from common.cli.services import Services, database_of, schedulers_to_run
from common.database import migrations, own_tables
from common.database.controls import pauses, triggers
from common.database.controls.triggers import Trigger
from common.database.session import Session
from common.errors import PassError

POLL_SECONDS = 0.1
# A worker reads its triggers as soon as it gets the signal.
TAKE_SECONDS = 15.0

_NOT_TAKEN = "its worker does not run it: another version, or other settings? Restart it"

# A row of the run history.
Run = Mapping[str, Any]


def run(services: Services, options: argparse.Namespace) -> int:
    """Trigger the named scheduler, or all that are enabled, and wait for the passes."""
    chosen, settings = schedulers_to_run(services.named(options.service), options.scheduler)
    subject = " ".join(filter(None, (options.service, options.scheduler)))
    for each in chosen:
        if not settings[each.enabled]:
            raise PassError(
                f"{each.name} is off, so no worker runs it; `toast once {subject}` does"
            )
    with database_of(settings, options).connect() as connection:
        migrations.require(connection, own_tables.EVERY_WORKER, may_apply=False)
        trigger = _request(connection, options.service, [each.name for each in chosen], subject)
        if not options.wait:
            return _show_requested(options, trigger)
        runs = _runs(connection, trigger)
        paused = pauses.in_effect(connection)
    outcomes = [_outcome(trigger, name, runs.get(name), paused) for name in trigger.schedulers]
    _show(options, trigger, outcomes, runs)
    failed = any(outcome.failed for outcome in outcomes)
    return exit_codes.FAILED if failed else exit_codes.FINE


def _request(connection: Session, service: str, schedulers: Sequence[str], subject: str) -> Trigger:
    """Leave the trigger for the worker, and wake it. Raises PassError if there is none."""
    process = local_worker.find(connection, service, schedulers)
    if process is None:
        raise PassError(
            f"no worker of {service} runs on this machine; `toast once {subject}` runs a pass"
            " without one"
        )
    if not local_worker.may_wake(process):
        raise PassError(f"the worker, process {process}, is another user's: use sudo")
    trigger = triggers.new(connection, service, schedulers, process)
    do = partial(triggers.request, connection, trigger)
    bulk.do_recorded(connection, "trigger", subject, do)
    local_worker.wake(process)
    return trigger


def _show_requested(options: argparse.Namespace, trigger: Trigger) -> int:
    if options.json:
        about = {"service": trigger.service, "process": trigger.process}
        output.show(output.as_json({**about, "triggered": list(trigger.schedulers)}))
    else:
        names = ", ".join(trigger.schedulers)
        output.show(f"process {trigger.process} runs {names}; see `toast runs {trigger.service}`")
    return exit_codes.FINE


def _runs(connection: Session, trigger: Trigger) -> Mapping[str, Run]:
    """The run of each scheduler that ended first; not of those that the worker will not run."""
    awaited, withdraw_at = set(trigger.schedulers), time.monotonic() + TAKE_SECONDS
    while True:
        goes_on = local_worker.is_running(trigger.process)
        runs = triggers.outcomes(connection, trigger)
        if time.monotonic() > withdraw_at:
            awaited.difference_update(triggers.withdraw(connection, trigger))
            withdraw_at = math.inf
        if not goes_on or awaited <= runs.keys():
            return runs
        time.sleep(POLL_SECONDS)


def _outcome(
    trigger: Trigger, name: str, run: Run | None, paused: Collection[tuple[str, str]]
) -> PassOutcome:
    if run is None:
        has_ended = not local_worker.is_running(trigger.process)
        why = "its worker has ended" if has_ended else _NOT_TAKEN
        return PassOutcome(name, NOT_RUN, {}, 0.0, why)
    was_cut = run["result"] in ("skipped", "stopped")
    is_paused = was_cut and (trigger.service, name) in paused
    counts, seconds = run["counts"], run["seconds"]
    return PassOutcome(name, run["result"], counts, seconds, run["error"], paused=is_paused)


def _show(
    options: argparse.Namespace,
    trigger: Trigger,
    outcomes: Sequence[PassOutcome],
    runs: Mapping[str, Run],
) -> None:
    joined = {
        name: run["started_at"]
        for name, run in runs.items()
        if run["started_at"] < trigger.requested_at
    }
    if options.json:
        passes = [{**each.facts, "joined": each.name in joined} for each in outcomes]
        about = {"service": trigger.service, "process": trigger.process}
        output.show(output.as_json({**about, "schedulers": passes}))
        return
    lines = outcome_lines(trigger.service, outcomes)
    lines += [
        f"{name}: joined a pass that was under way, since {listing.moment(began)} UTC"
        for name, began in joined.items()
    ]
    output.show("\n".join(lines))
