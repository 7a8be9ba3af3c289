"""The command line of `toast takeover`."""

import argparse

from common.cli.services import Services, UsageError
from common.cli.takeover import settings_command


def run(services: Services, options: argparse.Namespace) -> int:
    """Take settings over, or print the switches of the live schedulers."""
    if not options.files and not options.switch_off:
        raise UsageError("expected --from FILE or --switch-off")
    if options.output and (options.switch_off or not options.files):
        raise UsageError("--output is for --from FILE")
    wish = settings_command.Wish(
        services=services.every(),
        named=[services.named(name) for name in options.services],
        paths=options.files,
        switch_off=options.switch_off,
        folder=options.output,
    )
    return settings_command.run(wish)
