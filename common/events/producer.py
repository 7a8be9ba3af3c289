"""An idempotent Kafka producer with a report for every message; it creates missing topics."""

import time
from collections.abc import Callable, Mapping, Sequence

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from common import failpoints
from common.events import refusals
from common.events.kafka_client import ConnectionErrors
from common.events.messages import Failure, KafkaUnavailable, Outgoing
from common.events.topics import ADMIN_SECONDS, KnownTopics, TopicForm

MESSAGE_SECONDS = 30
POLL_SECONDS = 0.1

# By the id of the message; None means stored.
Reports = dict[int, Failure | None]


class _Delivery:
    """Takes the delivery report of one message.

    It is one object; a closure is five, which the garbage collector goes through for each message.
    """

    __slots__ = ("_failure", "_id", "_reports")

    def __init__(
        self, number: int, reports: Reports, failure: Callable[[KafkaError], Failure]
    ) -> None:
        self._id, self._reports, self._failure = number, reports, failure

    def __call__(self, error: KafkaError | None, _: Message) -> None:
        self._reports[self._id] = self._failure(error) if error else None


class EventProducer:
    """A librdkafka producer, opened at first use and after a fatal error.

    Not to be shared between threads or processes.
    """

    def __init__(self, configuration: Mapping[str, str], client_id: str, form: TopicForm) -> None:
        """``configuration`` is that of kafka_client.configuration, ``form`` is for new topics."""
        self._configuration = configuration
        self._client_id = client_id
        self._producer: Producer | None = None
        self._errors = ConnectionErrors(configuration)
        self._topics = KnownTopics(configuration, form, self._errors)
        self._misses_topic = False

    def send(self, messages: Sequence[Outgoing], *, stopping: Callable[[], bool]) -> Reports:
        """Send messages and return the delivery report of each, by id: None means stored.

        A message without a report after about MESSAGE_SECONDS, or when ``stopping()`` is true, is
        missing from the result. Raises KafkaUnavailable if no broker responds.
        """
        producer = self._open()
        self._errors.forget()
        self._topics.ensure(producer, {message.topic for message in messages})
        reports: Reports = {}
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
            self._topics.forget()
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
                # The first connections follow each other as quickly, at half of it.
                "reconnect.backoff.ms": 20,
                "reconnect.backoff.max.ms": 2000,
                "error_cb": self._errors,
            }
        )

    def _produce(self, producer: Producer, message: Outgoing, reports: Reports) -> None:
        """Hand the message over; its report is added when ``producer`` is polled."""
        on_delivery = _Delivery(message.id, reports, self._failure)
        while message.id not in reports:
            try:
                producer.produce(
                    message.topic,
                    key=message.key,
                    value=message.value,
                    headers=message.headers,
                    on_delivery=on_delivery,
                )
                return
            except BufferError:
                producer.poll(POLL_SECONDS)  # librdkafka's queue is full: let it drain
            except KafkaException as error:
                reports[message.id] = self._failure(error.args[0])
            except (TypeError, ValueError) as error:  # librdkafka cannot send it
                text = f"{type(error).__name__}: {error}"
                reports[message.id] = Failure(text, refused=True)

    def _failure(self, error: KafkaError) -> Failure:
        if error.fatal():
            self._producer = None  # it sends nothing more
        self._misses_topic |= refusals.misses_topic(error)
        return refusals.failure(error, self._errors)
