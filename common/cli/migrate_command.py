"""`toast migrate`: create or update our own tables, for each service those that it uses."""

import argparse
from collections.abc import Sequence

from common import exit_codes
from common.cli import output
from common.cli.services import Services, database
from common.database import migrations
from common.database.migrations import NameTaken
from common.database.session import Session
from common.errors import PassError
from common.scheduling import grants
from common.scheduling.scheduler import Service


def run(services: Services, options: argparse.Namespace) -> int:
    """Migrate for the named service, or for all. Raises PassError with the faults.

    A service that cannot be migrated does not stop the others.
    """
    with database(services, options).connect() as connection:
        done, faults = _migrate(connection, services.chosen(options.service))
    if done:
        output.show("\n".join(done))
    if faults:
        raise PassError("\n".join(faults))
    return exit_codes.FINE


def _migrate(connection: Session, services: Sequence[Service]) -> tuple[list[str], list[str]]:
    """Migrate for each of these services; returns lines to print, and the faults."""
    done: list[str] = []
    faults: dict[str, list[str]] = {}
    for service in services:
        wanted = migrations.needed(grants.accesses(service.schedulers))
        try:
            applied = migrations.migrate(connection, wanted)
        except NameTaken as fault:
            faults.setdefault(str(fault), []).append(service.name)
        else:
            done += [f"applied {migration.name}" for migration in applied]
    if not faults:
        done = sorted(done) or ["nothing to do: every migration has been applied"]
        done += migrations.newer(connection)
    return done, [f"{', '.join(names)}: {fault}" for fault, names in faults.items()]
