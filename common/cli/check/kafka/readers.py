"""Checks whether any consumer group has the topics of a service, and so gets their events."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any

from confluent_kafka import ConsumerGroupTopicPartitions, KafkaError, KafkaException
from confluent_kafka.admin import AclOperation, AdminClient  # type: ignore[attr-defined]

from common.cli.check.findings import Finding, ok, warning
from common.events.cluster import Cluster
from common.events.topics import ADMIN_SECONDS, ANSWER_SECONDS

_CHECK = "readers"
_SUBSCRIBE = (
    "add it to the topics of the consumers that should have it, and restart them"
    " (docs/takeover.md has their KAFKA_TOPICS)"
)
_ALLOW = (
    "if it should be: kafka-acls.sh --bootstrap-server {brokers} --add --cluster --operation"
    " Describe --allow-principal User:..., and the same with --group '*' for --cluster"
)

_FORBIDDEN = {
    KafkaError.CLUSTER_AUTHORIZATION_FAILED,
    KafkaError.GROUP_AUTHORIZATION_FAILED,
}

# The groups of each topic.
Groups = Mapping[str, set[str]]


@dataclass(frozen=True, slots=True)
class Readers:
    """The consumer groups of each of the ``topics``.

    ``running`` are those with a member that has it now, ``stored`` those that have read it.
    ``unseen`` is why there may be others, or ""; ``is_forbidden`` if ACLs hide them.
    """

    topics: frozenset[str]
    running: Groups
    stored: Groups
    unseen: str
    is_forbidden: bool = False

    def findings(self, names: Sequence[str], brokers: str) -> Iterator[Finding]:
        """One for each of these topics that is there."""
        for topic in names:
            if topic in self.topics:
                yield self._finding(topic, brokers)

    def _finding(self, topic: str, brokers: str) -> Finding:
        if groups := self.running.get(topic):
            return ok(_CHECK, f"{topic}: {', '.join(sorted(groups))}")
        if self.unseen:
            message = f"{topic}: whether a consumer group has it is not known: {self.unseen}"
            return ok(_CHECK, message, _ALLOW.format(brokers=brokers) if self.is_forbidden else "")
        if groups := self.stored.get(topic):
            message = f"{topic}: no consumer has it now; {', '.join(sorted(groups))} had it before"
            return warning(_CHECK, message, "start its consumers, or: " + _SUBSCRIBE)
        return warning(_CHECK, f"{topic}: no consumer group has it", _SUBSCRIBE)


def find(cluster: Cluster, topics: Iterable[str]) -> Readers:
    """Ask the cluster for the consumer groups of these topics."""
    wanted, questions = frozenset(topics), _Questions(cluster.client)
    if not cluster.has_controller:
        return Readers(wanted, {}, {}, "no broker is the controller of the cluster")
    groups = questions.groups()
    running = _by_topic(wanted, questions.assigned(groups))
    stored: Groups = {}
    if wanted - running.keys():
        stored = _by_topic(wanted, questions.committed(groups))
    return Readers(wanted, running, stored, questions.unanswered, questions.is_forbidden)


def _by_topic(wanted: frozenset[str], read: Iterable[tuple[str, str]]) -> Groups:
    """The groups of the wanted topics, from pairs of both."""
    found: dict[str, set[str]] = defaultdict(set)
    for group, topic in read:
        if topic in wanted:
            found[topic].add(group)
    return found


class _Questions:
    """Questions to the cluster; ``unanswered`` is why one has no whole answer, or "";
    ``is_forbidden`` if this client lacks a right."""

    def __init__(self, client: AdminClient) -> None:
        self._client = client
        self.unanswered = ""
        self.is_forbidden = False

    def groups(self) -> list[str]:
        """The ids of the groups that this client may see."""
        cluster = self._client.describe_cluster(
            include_authorized_operations=True, request_timeout=ADMIN_SECONDS
        )
        listed = self._client.list_consumer_groups(request_timeout=ADMIN_SECONDS)
        about = self._answer(cluster)
        if about and AclOperation.DESCRIBE not in (about.authorized_operations or ()):
            self.unanswered, self.is_forbidden = "this client may not see every group", True
        answer = self._answer(listed)
        for error in answer.errors if answer else ():
            self._failed(error)
        return [group.group_id for group in answer.valid] if answer else []

    def assigned(self, groups: Sequence[str]) -> Iterator[tuple[str, str]]:
        """Each group with each topic that a member of it has now."""
        if not groups:
            return
        asked = self._client.describe_consumer_groups(list(groups), request_timeout=ADMIN_SECONDS)
        for group, described in asked.items():
            if answer := self._answer(described):
                for member in answer.members:
                    yield from ((group, each.topic) for each in member.assignment.topic_partitions)

    def committed(self, groups: Sequence[str]) -> Iterator[tuple[str, str]]:
        """Each group with each topic whose events it has read."""
        asked = [
            self._client.list_consumer_group_offsets(
                [ConsumerGroupTopicPartitions(group)], request_timeout=ADMIN_SECONDS
            )
            for group in groups
        ]
        for futures in asked:
            for group, listed in futures.items():
                if answer := self._answer(listed):
                    yield from ((group, each.topic) for each in answer.topic_partitions)

    def _answer(self, question: Future[Any]) -> Any:
        try:
            return question.result(ANSWER_SECONDS)
        except KafkaException as error:
            self._failed(error)
            return None

    def _failed(self, error: KafkaException) -> None:
        self.unanswered = self.unanswered or error.args[0].str()
        self.is_forbidden |= error.args[0].code() in _FORBIDDEN
