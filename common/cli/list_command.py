"""`toast list`: the schedulers, and their settings with their origin."""

import argparse

from common import exit_codes
from common.cli import output, text_table
from common.cli.services import Services, with_settings


def run(services: Services, options: argparse.Namespace) -> int:
    """Print both tables."""
    jobs, settings_of = [], []
    for service, settings in with_settings(services.every()):
        for scheduler in service.schedulers:
            enabled = "yes" if settings[scheduler.enabled] else "no"
            interval = settings.written(scheduler.interval)
            jobs.append((service.name, scheduler.name, interval, enabled, scheduler.summary))
        for variable in service.variables:
            origin = settings.origin(variable)
            settings_of.append((variable.name, settings.written(variable), origin, variable.help))
    header = ("service", "scheduler", "interval", "enabled", "what it does")
    second = text_table.render(("setting", "value", "from", "meaning"), settings_of)
    output.show(f"{text_table.render(header, jobs)}\n\n{second}")
    return exit_codes.FINE
