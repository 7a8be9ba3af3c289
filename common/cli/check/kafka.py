"""Checks Kafka: reachable, with the topics of a service, or the right to create them."""

from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future
from typing import Any

from confluent_kafka import KafkaError, KafkaException, TopicCollection
from confluent_kafka.admin import AdminClient

from common import config
from common.cli.check import kafka_security
from common.cli.check.checked_service import Subject
from common.cli.check.findings import Finding, Found, error, ok, warning
from common.events import kafka_client
from common.events.messages import KafkaUnavailable
from common.events.producer import ADMIN_SECONDS, PARTITIONS, RETENTION_MS, new_topic
from common.worker.readiness import unreachable

# A reply may arrive a little after the request's timeout.
ANSWER_SECONDS = ADMIN_SECONDS + 2

_CREATE = (
    "kafka-topics.sh --bootstrap-server {brokers} --create --topic {topic}"
    f" --partitions {PARTITIONS} --config retention.ms={RETENTION_MS}"
)
_ALLOW = (
    "kafka-acls.sh --bootstrap-server {brokers} --add --topic {topic} --operation Describe"
    " --operation Write --allow-principal User:..."
)


def check(subjects: Sequence[Subject]) -> Iterator[Found]:
    """Check services that publish to the same brokers."""
    settings = subjects[0].settings
    brokers = settings[config.KAFKA_BROKERS]
    faults = {broker: fault for broker in brokers if (fault := unreachable(broker))}
    try:
        if len(faults) == len(brokers):
            raise KafkaUnavailable("; ".join(faults.values()))
        admin, cluster = kafka_client.connect(settings, ADMIN_SECONDS)
    except KafkaUnavailable as unavailable:
        answering = [broker for broker in brokers if broker not in faults]
        message, fix = kafka_security.explain(str(unavailable), settings, answering)
        for subject in subjects:
            yield subject.name, error("kafka", message, fix)
            yield subject.name, warning("topics", "not checked: Kafka does not answer")
        return
    reachable = [
        ok("kafka", f"{','.join(brokers)}: {len(cluster.brokers)} brokers"),
        *_of_brokers(faults.values()),
    ]
    topics = {topic: topic in cluster.topics for subject in subjects for topic in subject.topics}
    findings = _topic_findings(admin, topics, ",".join(brokers))
    for subject in subjects:
        for finding in (*reachable, *_of_topics(subject.topics, topics, findings)):
            yield subject.name, finding


def _of_brokers(faults: Iterable[str]) -> Iterator[Finding]:
    for fault in faults:
        message = f"no connection to {fault}; the other brokers do for now"
        yield warning("kafka", message, "start it, or take it out of KAFKA_BROKERS")


def _of_topics(
    topics: Sequence[str], present: dict[str, bool], findings: dict[str, Finding]
) -> Iterator[Finding]:
    yield from (findings[topic] for topic in topics if topic in findings)
    fine = [topic for topic in topics if topic not in findings]
    if there := [topic for topic in fine if present[topic]]:
        yield ok("topics", f"there: {', '.join(there)}")
    if missing := [topic for topic in fine if not present[topic]]:
        yield ok("topics", f"created with the first event: {', '.join(missing)}")


def _topic_findings(
    admin: AdminClient, topics: dict[str, bool], brokers: str
) -> dict[str, Finding]:
    """Faults by topic. ``topics``: True if the topic exists. All requests run at once."""
    there = [topic for topic, is_there in topics.items() if is_there]
    missing = [topic for topic, is_there in topics.items() if not is_there]
    described: dict[str, Future[Any]] = {}
    created: dict[str, Future[Any]] = {}
    if there:
        described = admin.describe_topics(
            TopicCollection(there),
            include_authorized_operations=True,
            request_timeout=ADMIN_SECONDS,
        )
    if missing:
        created = admin.create_topics(
            list(map(new_topic, missing)), validate_only=True, request_timeout=ADMIN_SECONDS
        )
    findings = {
        **{topic: _not_writable(topic, answer, brokers) for topic, answer in described.items()},
        **{topic: _not_creatable(topic, answer, brokers) for topic, answer in created.items()},
    }
    return {topic: finding for topic, finding in findings.items() if finding}


def _not_writable(topic: str, answer: Future[Any], brokers: str) -> Finding | None:
    try:
        allowed = answer.result(ANSWER_SECONDS).authorized_operations
    except KafkaException:
        return None  # it is listed, and not every broker gives details
    if not allowed or "WRITE" in {operation.name for operation in allowed}:
        return None
    fix = _ALLOW.format(brokers=brokers, topic=topic)
    return error("topics", f"{topic}: this client may not write to it", fix)


def _not_creatable(topic: str, answer: Future[Any], brokers: str) -> Finding | None:
    try:
        answer.result(ANSWER_SECONDS)
    except KafkaException as fault:
        reason: KafkaError = fault.args[0]
    else:
        return None
    if reason.code() == KafkaError.TOPIC_ALREADY_EXISTS:
        fix = _ALLOW.format(brokers=brokers, topic=topic)
        return error("topics", f"{topic} is there, but hidden from this client", fix)
    fix = _CREATE.format(brokers=brokers, topic=topic)
    if reason.code() < 0:  # an error of librdkafka: no broker has refused
        message = f"{topic} is not there, and whether it can be created is not known"
        return warning("topics", f"{message}: {reason.str()}", fix)
    return error("topics", f"{topic} is not there and cannot be created: {reason.str()}", fix)
