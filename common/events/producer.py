"""An idempotent Kafka producer with a report for every message; it creates missing topics."""

import time
from collections.abc import Callable, Mapping, Sequence

from confluent_kafka import KafkaError, KafkaException, Message, Producer
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from common import failpoints
from common.events.kafka_client import ConnectionErrors
from common.events.messages import Failure, KafkaUnavailable, Outgoing
from common.logging import logs

_log = logs.logger(__name__)

# As the live topics: 3 partitions, 7 days, the broker's default replication.
PARTITIONS = 3
RETENTION_MS = 7 * 24 * 60 * 60 * 1000
BROKER_DEFAULT_REPLICATION = -1

MESSAGE_SECONDS = 30
ADMIN_SECONDS = 5
POLL_SECONDS = 0.1

# A topic that is missing, or not yet known to a broker after its restart.
_UNKNOWN = frozenset(
    {KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaError._UNKNOWN_TOPIC, KafkaError._UNKNOWN_PARTITION}
)

# Errors of one message or its topic that a retry does not cure. Any other error is an outage, and
# the message waits.
_REFUSALS = _UNKNOWN | frozenset(
    {
        KafkaError.MSG_SIZE_TOO_LARGE,
        KafkaError.INVALID_MSG,
        KafkaError.INVALID_MSG_SIZE,
        KafkaError.INVALID_RECORD,
        KafkaError.RECORD_LIST_TOO_LARGE,
        KafkaError.TOPIC_EXCEPTION,
        KafkaError.TOPIC_AUTHORIZATION_FAILED,
        KafkaError.POLICY_VIOLATION,
        KafkaError.UNSUPPORTED_FOR_MESSAGE_FORMAT,
        KafkaError._INVALID_ARG,
    }
)

# Errors that the broker returns for a whole batch because of one message.
_SHARED_REFUSALS = frozenset(
    {
        KafkaError.MSG_SIZE_TOO_LARGE,
        KafkaError.INVALID_MSG,
        KafkaError.INVALID_MSG_SIZE,
        KafkaError.INVALID_RECORD,
        KafkaError.RECORD_LIST_TOO_LARGE,
    }
)


def new_topic(name: str) -> NewTopic:
    """A topic to create, with the settings of the live topics."""
    return NewTopic(
        name,
        num_partitions=PARTITIONS,
        replication_factor=BROKER_DEFAULT_REPLICATION,
        config={"retention.ms": str(RETENTION_MS)},
    )


class EventProducer:
    """A librdkafka producer, opened at first use and after a fatal error.

    Not to be shared between threads or processes.
    """

    def __init__(self, configuration: Mapping[str, str], client_id: str) -> None:
        """``configuration`` is that of kafka_client.configuration."""
        self._configuration = configuration
        self._client_id = client_id
        self._producer: Producer | None = None
        self._topics: set[str] = set()
        self._errors = ConnectionErrors()
        self._misses_topic = False

    def send(
        self, messages: Sequence[Outgoing], *, stopping: Callable[[], bool]
    ) -> dict[int, Failure | None]:
        """Send messages and return the delivery report of each, by id: None means stored.

        A message without a report after about MESSAGE_SECONDS, or when ``stopping()`` is true, is
        missing from the result. Raises KafkaUnavailable if no broker responds.
        """
        producer = self._open()
        self._errors.forget()
        self._ensure_topics(producer, {message.topic for message in messages})
        reports: dict[int, Failure | None] = {}
        for message in messages:
            self._produce(producer, message, reports)
        failpoints.reach("produced")
        deadline = time.monotonic() + MESSAGE_SECONDS + ADMIN_SECONDS
        while len(reports) < len(messages) and time.monotonic() < deadline and not stopping():
            producer.poll(POLL_SECONDS)
        answer = dict(reports)
        # Messages without a report are dropped here and sent again later; a purge reports them as
        # failed, hence the copy. And a producer looks for a missing topic again only after minutes;
        # a new one does so first, and creates it.
        if len(answer) < len(messages) or self._misses_topic:
            self.close()
        return answer

    def close(self) -> None:
        """Drop the producer, its connections and its unsent messages."""
        if self._producer is not None:
            self._producer.purge()
            self._producer.poll(0)
            self._producer = None
            self._topics.clear()
        self._misses_topic = False

    def _open(self) -> Producer:
        if self._producer is None:
            try:
                self._producer = self._new_producer()
            except KafkaException as error:  # such as brokers that librdkafka cannot parse
                raise KafkaUnavailable(error.args[0].str()) from error
        return self._producer

    def _new_producer(self) -> Producer:
        return Producer(
            {
                **self._configuration,
                "client.id": self._client_id,
                "enable.idempotence": True,
                "acks": "all",
                # As the Go producers: a key must have the same partition from both.
                "partitioner": "fnv1a_random",
                "linger.ms": 5,
                "message.timeout.ms": MESSAGE_SECONDS * 1000,
                "topic.metadata.propagation.max.ms": ADMIN_SECONDS * 1000,
                "reconnect.backoff.max.ms": 2000,
                "error_cb": self._errors,
            }
        )

    def _produce(
        self, producer: Producer, message: Outgoing, reports: dict[int, Failure | None]
    ) -> None:
        def on_delivery(error: KafkaError | None, _: Message) -> None:
            reports[message.id] = self._failure(error) if error else None

        while True:
            try:
                producer.produce(
                    message.topic,
                    key=message.key,
                    value=message.value,
                    headers=list(message.headers),
                    on_delivery=on_delivery,
                )
            except BufferError:
                producer.poll(POLL_SECONDS)  # librdkafka's queue is full: let it drain
            except KafkaException as error:
                reports[message.id] = self._failure(error.args[0])
                return
            except (TypeError, ValueError) as error:  # librdkafka cannot send it
                text = f"{type(error).__name__}: {error}"
                reports[message.id] = Failure(text, refused=True)
                return
            else:
                return

    def _failure(self, error: KafkaError) -> Failure:
        if error.fatal():
            self._producer = None  # it sends nothing more
        code = error.code()
        self._misses_topic |= code in _UNKNOWN
        if code in _REFUSALS:
            return Failure(
                error.str(),
                refused=True,
                shared=code in _SHARED_REFUSALS,
                of_topic=code == KafkaError.TOPIC_AUTHORIZATION_FAILED,
            )
        return Failure(self._errors.explain(error), refused=False)

    def _ensure_topics(self, producer: Producer, topics: set[str]) -> None:
        """Create the topics that are missing, once per producer.

        A broker may create a topic that is named in a request, with its own number of partitions,
        so the request for the list names none. If creation fails, the messages fail.
        """
        unknown = topics - self._topics
        if not unknown:
            return
        try:
            present = producer.list_topics(timeout=ADMIN_SECONDS).topics
        except KafkaException as error:
            producer.poll(POLL_SECONDS)  # calls self._errors
            raise KafkaUnavailable(self._errors.explain(error.args[0])) from error
        self._create(unknown - present.keys())
        self._topics |= unknown

    def _create(self, topics: set[str]) -> None:
        if not topics:
            return
        admin = AdminClient(dict(self._configuration))
        requests = admin.create_topics(
            [new_topic(topic) for topic in sorted(topics)], request_timeout=ADMIN_SECONDS
        )
        for topic, created in requests.items():
            try:
                created.result()
                _log.info("topic_created", topic=topic, partitions=PARTITIONS)
            except KafkaException as error:
                if error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
                    _log.warning("topic_creation_failed", topic=topic, reason=error.args[0].str())
