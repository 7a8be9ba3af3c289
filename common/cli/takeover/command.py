"""The command line of `toast takeover`."""

import argparse

from common.cli.loading import schedulers_to_run
from common.cli.once.command import progress
from common.cli.services import Services, UsageError
from common.cli.takeover import first_passes, settings_command


def run(services: Services, options: argparse.Namespace) -> int:
    """Show or do first passes, or print settings or switches."""
    if options.files or options.switch_off:
        return _settings(services, options)
    return _first_passes(services, options)


def _settings(services: Services, options: argparse.Namespace) -> int:
    if options.announce or options.adopt or options.dry_run or options.yes or options.json:
        raise UsageError("--from and --switch-off only print; they take none of the other options")
    if options.output and options.switch_off:
        raise UsageError("--output is for --from FILE alone")
    wish = settings_command.Wish(
        services=services.every(),
        named=[services.named(name) for name in options.names],
        paths=options.files,
        switch_off=options.switch_off,
        folder=options.output,
    )
    return settings_command.run(wish)


def _first_passes(services: Services, options: argparse.Namespace) -> int:
    if options.output:
        raise UsageError("--output is for --from FILE")
    if not 1 <= len(options.names) <= 2:
        raise UsageError("expected SERVICE [SCHEDULER], --from FILE or --switch-off")
    service, scheduler = services.named(options.names[0]), options.names[1:]
    wanted = first_passes.wanted(options)
    if options.adopt and scheduler:
        raise UsageError("--adopt is for a whole service: leave SCHEDULER out")
    if options.adopt and not service.adoptions:
        raise UsageError(f"{service.name} has no rows that a crash of the live service leaves")
    chosen, settings = schedulers_to_run(service, *scheduler)
    return first_passes.run(
        service.adoptions if options.adopt else chosen, settings, wanted, progress()
    )
