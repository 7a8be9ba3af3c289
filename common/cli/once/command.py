"""`toast once`: the choice of schedulers, and its report on the screen."""

import argparse
import sys
from collections.abc import Sequence

from common.cli import output
from common.cli.once import passes
from common.cli.services import Services, log_for_a_person, print_warnings, scheduler_named
from common.config import Settings
from common.scheduling import service_settings
from common.scheduling.scheduler import Scheduler
from common.scheduling.service import Service
from common.worker.progress import ProgressLine


def run(services: Services, options: argparse.Namespace) -> int:
    """Run or preview one pass of the named scheduler, or of all that are enabled."""
    chosen, settings = chosen_schedulers(services.named(options.service), options.scheduler)
    if options.dry_run:
        answer = passes.dry_run(chosen, settings)
    else:
        wait_events = not options.no_wait_events
        answer = passes.run(
            chosen,
            settings,
            progress(),
            wait_events=wait_events,
            obeys_pauses=not options.force,
        )
    output.show_report(answer, as_json=options.json)
    return answer.exit_code


def chosen_schedulers(
    service: Service, name: str | None = None
) -> tuple[Sequence[Scheduler], Settings]:
    """The named scheduler, even if it is disabled, or all enabled ones; and the settings."""
    named = [scheduler_named(service, name)] if name else []
    settings = service_settings.load(service, used=named)
    print_warnings([settings])
    log_for_a_person(settings)
    return named or [each for each in service.schedulers if settings[each.enabled]], settings


def progress() -> list[ProgressLine]:
    """A line with the progress of a pass, on a terminal."""
    return [ProgressLine(sys.stderr)] if sys.stderr.isatty() else []
