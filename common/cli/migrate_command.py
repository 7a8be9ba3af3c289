"""`toast migrate`: create or update our own tables, for each service those that it uses.

On request it also creates their topics that are missing.
"""

import argparse
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING

from common import exit_codes
from common.cli import output
from common.cli.loading import settings_of
from common.cli.services import Services
from common.config import Settings
from common.database import audit, migrations, own_tables
from common.database.connection import Database
from common.database.migrations import NameTaken
from common.database.session import Session
from common.errors import PassError
from common.events.messages import KafkaUnavailable
from common.scheduling import grants
from common.scheduling.service import Service

if TYPE_CHECKING:
    from common.events.cluster import Cluster


def run(services: Services, options: argparse.Namespace) -> int:
    """Migrate for the named service, or for all. Raises PassError with the faults.

    A service that cannot be migrated does not stop the others.
    """
    chosen, settings = services.chosen(options.service), settings_of(services, options)
    with Database(settings).connect() as connection:
        done, faults = _migrate(connection, chosen)
    if options.topics:
        created, refused = _create_topics(settings, chosen)
        done, faults = [*done, *created], [*faults, *refused]
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
        accesses = (*grants.accesses(service.schedulers), *own_tables.OPERATING)
        wanted = migrations.needed(accesses)
        try:
            applied = migrations.migrate(connection, wanted)
        except NameTaken as fault:
            faults.setdefault(str(fault), []).append(service.name)
        else:
            done += [f"applied {migration.name}" for migration in applied]
    audit.forget_old(connection)
    if not faults:
        done = sorted(done) or ["nothing to do: every migration has been applied"]
        done += migrations.newer(connection)
    return done, [f"{', '.join(names)}: {fault}" for fault, names in faults.items()]


def _create_topics(settings: Settings, services: Sequence[Service]) -> tuple[list[str], list[str]]:
    """Create the missing topics of these services; returns lines to print, and the faults."""
    # Imported here so that other commands do not load librdkafka.
    from common.events import cluster
    from common.events.topics import ADMIN_SECONDS

    names = {topic for service in services for topic in service.topics}
    try:
        found = cluster.connect(settings, ADMIN_SECONDS)
    except KafkaUnavailable as error:
        return [], [f"Kafka: {error}"]
    if not found.is_usable:
        return [], [f"Kafka: {fault}" for fault in found.faults]
    missing = names - found.metadata.topics.keys()
    if not missing:
        return ["nothing to do: every topic is there"], []
    return _created(found, missing, settings)


def _created(
    found: "Cluster", missing: Collection[str], settings: Settings
) -> tuple[list[str], list[str]]:
    from common.events.topics import TopicForm, failure

    form = TopicForm.of(settings)
    answers = form.request(found.client, missing)
    reasons = {topic: failure(answer) for topic, answer in answers.items()}
    done = [f"created topic {topic}" for topic, reason in reasons.items() if reason is None]
    if done:
        done.append("restart the consumers: one that runs does not notice a new topic")
    faults = [
        f"topic {topic} cannot be created: {reason.str()} => `toast check` says what to do"
        for topic, reason in reasons.items()
        if reason is not None
    ]
    return done, faults
