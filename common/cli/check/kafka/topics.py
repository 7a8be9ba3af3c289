"""Checks whether a service may write to its topics, or may create those that are missing."""

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any

from confluent_kafka import KafkaError, KafkaException, TopicCollection

from common import config
from common.cli.check.findings import Finding, error, ok, warning
from common.config import Settings
from common.events.cluster import Cluster
from common.events.topics import ADMIN_SECONDS, ANSWER_SECONDS, TopicForm, failure

_ALLOW = (
    "kafka-acls.sh --bootstrap-server {brokers} --add --topic {topic} --operation Describe"
    " --operation Write --allow-principal User:..."
)
_CREATE_FIRST = (
    "`toast migrate --topics` creates them now; then restart the consumers: one that runs does not"
    " notice a new topic"
)


@dataclass(frozen=True, slots=True)
class Topics:
    """The topics of some services: those that are ``present``, and the faults by topic."""

    present: frozenset[str]
    faults: Mapping[str, Finding]

    def findings(self, names: Sequence[str]) -> Iterator[Finding]:
        """The findings about these topics."""
        yield from (self.faults[topic] for topic in names if topic in self.faults)
        fine = [topic for topic in names if topic not in self.faults]
        if there := [topic for topic in fine if topic in self.present]:
            yield ok("topics", f"there: {', '.join(there)}")
        if missing := [topic for topic in fine if topic not in self.present]:
            yield ok("topics", f"created with the first event: {', '.join(missing)}", _CREATE_FIRST)


def examine(found: Cluster, names: Sequence[str], settings: Settings) -> Topics:
    """Ask the cluster about these topics, all at once."""
    present = found.metadata.topics.keys() & set(names)
    missing = set(names) - present
    brokers, form = ",".join(settings[config.KAFKA_BROKERS]), TopicForm.of(settings)
    described: dict[str, Future[Any]] = {}
    created: dict[str, Future[Any]] = {}
    if present and found.has_controller:
        described = found.client.describe_topics(
            TopicCollection(sorted(present)),
            include_authorized_operations=True,
            request_timeout=ADMIN_SECONDS,
        )
    if missing:
        created = form.request(found.client, missing, validate_only=True)
    faults = {
        **{topic: _not_writable(topic, answer, brokers) for topic, answer in described.items()},
        **{
            topic: _not_creatable(topic, answer, brokers, form) for topic, answer in created.items()
        },
    }
    return Topics(frozenset(present), {topic: fault for topic, fault in faults.items() if fault})


def _not_writable(topic: str, answer: Future[Any], brokers: str) -> Finding | None:
    try:
        allowed = answer.result(ANSWER_SECONDS).authorized_operations
    except KafkaException:
        return None  # it is listed, and not every broker gives details
    if not allowed or "WRITE" in {operation.name for operation in allowed}:
        return None
    fix = _ALLOW.format(brokers=brokers, topic=topic)
    return error("topics", f"{topic}: this client may not write to it", fix)


def _not_creatable(
    topic: str, answer: Future[Any], brokers: str, form: TopicForm
) -> Finding | None:
    reason = failure(answer)
    if reason is None:
        return None
    if reason.code() == KafkaError.TOPIC_ALREADY_EXISTS:
        fix = _ALLOW.format(brokers=brokers, topic=topic)
        return error("topics", f"{topic} is there, but hidden from this client", fix)
    fix = f"kafka-topics.sh --bootstrap-server {brokers} --create --topic {topic} {form.options}"
    if reason.code() < 0:  # an error of librdkafka: no broker has refused
        message = f"{topic} is not there, and whether it can be created is not known"
        return warning("topics", f"{message}: {reason.str()}", fix)
    return error("topics", f"{topic} is not there and cannot be created: {reason.str()}", fix)
