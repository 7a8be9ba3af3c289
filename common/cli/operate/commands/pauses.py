"""`toast pause` and `toast resume`: no worker runs a paused scheduler, on any machine."""

import argparse
from dataclasses import asdict

from common import exit_codes
from common.cli import output
from common.cli.operate import action, pauses
from common.cli.operate.commands.connection import connected_for
from common.cli.services import Services, schedulers_chosen
from common.database.audit import Operator
from common.scheduling.service import Service


def run(services: Services, options: argparse.Namespace) -> int:
    """Pause or resume the named scheduler, or all of the service."""
    service = services.named(options.service)
    schedulers_chosen(service, options.scheduler)  # before anything happens
    act = _pause if options.command == "pause" else _resume
    act(services, options, service)
    return exit_codes.FINE


def _pause(services: Services, options: argparse.Namespace, service: Service) -> None:
    reason, end = pauses.reason(options.reason), pauses.end(options.span, options.until)
    with connected_for(services, options) as connection:
        operator = Operator.here()
        begun = pauses.pause(connection, operator, service, options.scheduler, end, reason)
    if options.json:
        schedulers = [{"scheduler": name, **asdict(pause)} for name, pause in begun.items()]
        output.show(output.as_json({"service": service.name, "paused": schedulers}))
    else:
        output.show("\n".join(f"{name}: {pause}" for name, pause in begun.items()))


def _resume(services: Services, options: argparse.Namespace, service: Service) -> None:
    with connected_for(services, options) as connection:
        resumed = pauses.resume(connection, Operator.here(), service, options.scheduler)
    if options.json:
        output.show(output.as_json({"service": service.name, "resumed": list(resumed)}))
    elif resumed:
        output.show("\n".join(f"{name}: resumed" for name in resumed))
    else:
        output.show(f"{action.subject(service.name, options.scheduler)} was not paused")
