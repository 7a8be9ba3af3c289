"""`toast once`: the choice of schedulers, and its report on the screen."""

import argparse
import sys

from common.cli import output
from common.cli.once import passes
from common.cli.services import Services, log_for_a_person, print_warnings, scheduler_named
from common.scheduling import service_settings
from common.worker.progress import ProgressLine


def run(services: Services, options: argparse.Namespace) -> int:
    """Run or preview one pass of the named scheduler, or of all that are enabled."""
    service = services.named(options.service)
    # A scheduler that is named runs even if it is disabled.
    named = [scheduler_named(service, options.scheduler)] if options.scheduler else []
    settings = service_settings.load(service, used=named)
    print_warnings([settings])
    log_for_a_person(settings)
    chosen = named or [each for each in service.schedulers if settings[each.enabled]]
    if options.dry_run:
        answer = passes.dry_run(chosen, settings)
    else:
        line = [ProgressLine(sys.stderr)] if sys.stderr.isatty() else []
        answer = passes.run(chosen, settings, line, wait_events=not options.no_wait_events)
    output.show_report(answer, as_json=options.json)
    return answer.exit_code
