"""`toast once`: the choice of schedulers, and its report on the screen."""

import argparse
import sys

from common.cli import output
from common.cli.loading import schedulers_to_run
from common.cli.once import passes
from common.cli.services import Services
from common.worker.progress import ProgressLine


def run(services: Services, options: argparse.Namespace) -> int:
    """Run or preview one pass of the named scheduler, or of all that are enabled."""
    chosen, settings = schedulers_to_run(services.named(options.service), options.scheduler)
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


def progress() -> list[ProgressLine]:
    """A line with the progress of a pass, on a terminal."""
    return [ProgressLine(sys.stderr)] if sys.stderr.isatty() else []
