"""`toast trigger`: the running worker of this machine does a pass now."""

import argparse
from collections.abc import Sequence

from common import exit_codes
from common.cli import output
from common.cli.loading import database_of, schedulers_to_run
from common.cli.once.report import outcome_lines
from common.cli.operate import trigger
from common.cli.operate.action import connected
from common.cli.operate.commands import listing
from common.cli.operate.trigger import TriggeredPass
from common.cli.services import Services
from common.database.audit import Operator
from common.database.controls.triggers import Trigger


def run(services: Services, options: argparse.Namespace) -> int:
    """Trigger the named scheduler, or all that are enabled, and wait for the passes."""
    service = services.named(options.service)
    _, settings = schedulers_to_run(service, options.scheduler)
    with connected(database_of(settings, options)) as connection:
        operator = Operator.here()
        request = trigger.request(connection, operator, service, settings, options.scheduler)
        if not options.wait:
            return _show_requested(options, request)
        passes = trigger.wait(connection, request)
    _show(options, request, passes)
    failed = any(each.outcome.failed for each in passes)
    return exit_codes.FAILED if failed else exit_codes.FINE


def _show_requested(options: argparse.Namespace, request: Trigger) -> int:
    if options.json:
        about = {"service": request.service, "process": request.process}
        output.show(output.as_json({**about, "triggered": list(request.schedulers)}))
    else:
        names = ", ".join(request.schedulers)
        output.show(f"process {request.process} runs {names}; see `toast runs {request.service}`")
    return exit_codes.FINE


def _show(options: argparse.Namespace, request: Trigger, passes: Sequence[TriggeredPass]) -> None:
    if options.json:
        facts = [{**each.outcome.facts, "joined": each.joined is not None} for each in passes]
        about = {"service": request.service, "process": request.process}
        output.show(output.as_json({**about, "schedulers": facts}))
        return
    lines = outcome_lines(request.service, [each.outcome for each in passes])
    lines += [
        f"{each.outcome.name}: joined a pass that was under way,"
        f" since {listing.moment(each.joined)} UTC"
        for each in passes
        if each.joined
    ]
    output.show("\n".join(lines))
