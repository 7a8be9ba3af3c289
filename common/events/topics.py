"""Creates the topics of events that are missing, in the form of the live ones."""

from collections.abc import Collection, Iterable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any

from confluent_kafka import KafkaError, KafkaException, Producer
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from common.config import KAFKA_TOPIC_PARTITIONS, KAFKA_TOPIC_REPLICATION_FACTOR, Settings
from common.events.kafka_client import ConnectionErrors
from common.events.messages import KafkaUnavailable
from common.logging import logs

_log = logs.logger(__name__)

ADMIN_SECONDS = 5
# A reply may arrive a little after the request's timeout.
ANSWER_SECONDS = ADMIN_SECONDS + 2
BROKERS_DEFAULT = -1
# As the live topics: 7 days.
RETENTION_MS = 7 * 24 * 60 * 60 * 1000


@dataclass(frozen=True, slots=True)
class TopicForm:
    """How a missing topic is created; ``replication`` is the number of brokers that keep it, or
    BROKERS_DEFAULT."""

    partitions: int
    replication: int

    @classmethod
    def of(cls, settings: Settings) -> "TopicForm":
        """The form that the settings ask for."""
        copies = settings[KAFKA_TOPIC_REPLICATION_FACTOR]
        return cls(settings[KAFKA_TOPIC_PARTITIONS], copies or BROKERS_DEFAULT)

    @property
    def options(self) -> str:
        """The same for `kafka-topics.sh --create`."""
        replication = f" --replication-factor {self.replication}" if self.replication > 0 else ""
        return f"--partitions {self.partitions}{replication} --config retention.ms={RETENTION_MS}"

    def request(
        self, admin: AdminClient, names: Iterable[str], *, validate_only: bool = False
    ) -> dict[str, Future[Any]]:
        """Ask for these topics; the answers by name. ``validate_only`` creates none."""
        config = {"retention.ms": str(RETENTION_MS)}
        new = [
            NewTopic(name, self.partitions, self.replication, config=config)
            for name in sorted(names)
        ]
        return admin.create_topics(new, validate_only=validate_only, request_timeout=ADMIN_SECONDS)


def failure(answer: Future[Any]) -> KafkaError | None:
    """Why a request failed; None if it did not."""
    try:
        answer.result(ANSWER_SECONDS)
    except KafkaException as error:
        reason: KafkaError = error.args[0]
        return reason
    except TimeoutError:
        return KafkaError(KafkaError._TIMED_OUT)
    return None


class KnownTopics:
    """The topics that a producer has found, or has created."""

    def __init__(
        self, configuration: Mapping[str, str], form: TopicForm, errors: ConnectionErrors
    ) -> None:
        """``configuration`` and ``errors`` are those of the producer."""
        self._configuration = configuration
        self._form = form
        self._errors = errors
        self._names: set[str] = set()

    def forget(self) -> None:
        """Look for every topic again."""
        self._names.clear()

    def ensure(self, producer: Producer, names: Collection[str]) -> None:
        """Create those that are missing. If the brokers refuse that, their messages will fail.

        Raises KafkaUnavailable if no broker answers.
        """
        unknown = set(names) - self._names
        if not unknown:
            return
        # A broker may create a topic that is named in a request, with its own number of
        # partitions, so this request names none.
        if missing := unknown - self._list(producer):
            self._create(missing)
        # A new producer gets its id only by an answer about topics, else half a second later. The
        # first may come too early, by a connection that librdkafka then replaces. This one may name
        # a topic: it is there, or its creation was refused.
        self._list(producer, min(unknown))
        self._names |= unknown

    def _list(self, producer: Producer, name: str | None = None) -> set[str]:
        """The names of all topics; with a name, the answer is about that one only."""
        try:
            return set(producer.list_topics(name, ADMIN_SECONDS).topics)
        except KafkaException as error:
            raise self._unavailable(producer, error.args[0]) from error

    def _create(self, names: set[str]) -> None:
        admin = AdminClient({**self._configuration, "error_cb": self._errors})  # type: ignore[dict-item]
        for topic, answer in self._form.request(admin, names).items():
            reason = failure(answer)
            if reason is None:
                _log.info("topic_created", topic=topic, partitions=self._form.partitions)
            elif reason.code() < 0:  # an error of librdkafka: no broker has refused
                raise self._unavailable(admin, reason)
            elif reason.code() != KafkaError.TOPIC_ALREADY_EXISTS:
                _log.warning("topic_creation_failed", topic=topic, reason=reason.str())

    def _unavailable(self, client: Producer | AdminClient, reason: KafkaError) -> KafkaUnavailable:
        client.poll(0)  # calls self._errors
        return KafkaUnavailable(self._errors.explain(reason))
