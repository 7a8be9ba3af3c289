"""Checks Kafka: reachable, with the topics of a service and consumers that read them."""

from collections.abc import Iterable, Iterator, Sequence

from common import config
from common.cli.check.checked_service import Subject
from common.cli.check.findings import Finding, Found, error, ok, warning
from common.cli.check.kafka import readers, security, topics
from common.config import Settings
from common.events import cluster
from common.events.cluster import Cluster
from common.events.messages import KafkaUnavailable
from common.events.topics import ADMIN_SECONDS
from common.worker.readiness import unreachable


def check(subjects: Sequence[Subject]) -> Iterator[Found]:
    """Check services that publish to the same brokers."""
    settings = subjects[0].settings
    brokers = settings[config.KAFKA_BROKERS]
    away = {broker: fault for broker in brokers if (fault := unreachable(broker))}
    try:
        if len(away) == len(brokers):
            raise KafkaUnavailable("; ".join(away.values()))
        found = cluster.connect(settings, ADMIN_SECONDS)
    except KafkaUnavailable as unavailable:
        answering = [broker for broker in brokers if broker not in away]
        message, fix = security.explain(str(unavailable), settings, answering)
        yield from _without_topics(subjects, [error("kafka", message, fix)])
        return
    reached = [*_of_brokers(found, settings), *_of_first_connection(away.values())]
    if not found.is_usable:
        yield from _without_topics(subjects, reached)
        return
    names = [topic for subject in subjects for topic in subject.topics]
    writable = topics.examine(found, names, settings)
    groups = readers.find(found, writable.present)
    for subject in subjects:
        of_topics = writable.findings(subject.topics)
        of_readers = groups.findings(subject.topics, ",".join(brokers))
        for finding in (*reached, *of_topics, *of_readers):
            yield subject.name, finding


def _without_topics(subjects: Sequence[Subject], found: Sequence[Finding]) -> Iterator[Found]:
    for subject in subjects:
        yield from ((subject.name, finding) for finding in found)
        yield subject.name, warning("topics", "not checked: Kafka does not answer")


def _of_brokers(found: Cluster, settings: Settings) -> Iterator[Finding]:
    """Each broker of the metadata that cannot be used: the events of its partitions wait."""
    for address, message, fix in found.faults:
        if not fix:
            message, fix = security.explain(message, settings, [address])
        yield error("kafka", message, fix)
    if not found.faults:
        given, number = ",".join(settings[config.KAFKA_BROKERS]), len(found.metadata.brokers)
        yield ok("kafka", f"{given}: {number} of {number} brokers can be reached")


def _of_first_connection(faults: Iterable[str]) -> Iterator[Finding]:
    for fault in faults:
        message = f"no connection to {fault}; the other brokers do for now"
        yield warning("kafka", message, "start it, or take it out of KAFKA_BROKERS")
