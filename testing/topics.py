"""The messages of a topic, read by a real consumer."""

import json
import uuid
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from confluent_kafka import Consumer, KafkaException, Message, TopicPartition

from devservers.child_processes import PATIENCE, poll_until

# Messages in one call of librdkafka, which refuses more than a million.
MOST_AT_ONCE = 100_000


@dataclass(frozen=True, slots=True)
class ReceivedMessage:
    """One message, as a consumer gets it."""

    partition: int
    offset: int
    key: str
    value: bytes
    headers: tuple[tuple[str, str], ...]

    @property
    def json(self) -> dict[str, Any]:
        """The value as the consumers parse it."""
        parsed = json.loads(self.value)
        assert isinstance(parsed, dict)
        return parsed


class Topic:
    """The messages of one topic that arrive after this object is created."""

    def __init__(self, brokers: str, name: str) -> None:
        self.name = name
        self._consumer = Consumer(
            {
                "bootstrap.servers": brokers,
                "group.id": f"test-{uuid.uuid4()}",  # required, though no group is joined
                "enable.auto.commit": False,
                "auto.offset.reset": "error",
                "log_level": 0,
            }
        )
        self._begin = self._ends()

    def count(self) -> int:
        """How many messages have arrived."""
        return sum(end - self._begin.get(number, 0) for number, end in self._ends().items())

    def read(self, count: int, *, seconds: float = PATIENCE) -> list[ReceivedMessage]:
        """Wait for ``count`` messages and return them, in order within each partition.

        AssertionError if fewer arrive within ``seconds``, or more: none may arrive twice.
        """
        poll_until(lambda: self.count() >= count, seconds)
        present = self.count()
        assert present == count, f"{present} messages on {self.name}, expected {count}"
        return self._messages(count)

    def so_far(self) -> list[ReceivedMessage]:
        """The messages that have arrived until now, in order within each partition."""
        return self._messages(self.count())

    def partitions(self) -> int:
        """Its number of partitions; 0 while the topic does not exist."""
        return len(self._ends())

    def _messages(self, count: int) -> list[ReceivedMessage]:
        self._consumer.assign(
            [TopicPartition(self.name, n, self._begin.get(n, 0)) for n in sorted(self._ends())]
        )
        received: list[ReceivedMessage] = []
        while len(received) < count:
            missing = min(count - len(received), MOST_AT_ONCE)
            batch = self._consumer.consume(missing, timeout=PATIENCE)
            assert batch, f"only {len(received)} of {count} messages could be read"
            received += map(_received, batch)
        self._consumer.unassign()
        return received

    def _ends(self) -> dict[int, int]:
        """The offset after the last message, by partition; empty while the topic does not exist."""
        # All topics are listed, because a broker might create one that is requested by name.
        topic = self._consumer.list_topics(timeout=PATIENCE).topics.get(self.name)
        return {
            number: end_of(self._consumer, TopicPartition(self.name, number))
            for number in (topic.partitions if topic else ())
        }


def end_of(consumer: Consumer, place: TopicPartition) -> int:
    """The offset after the last message of a partition."""
    found: list[int] = []

    def has_answered() -> bool:
        # A broker may not lead a partition yet: it has just started, or the topic is new.
        with suppress(KafkaException):
            found.extend(consumer.get_watermark_offsets(place, timeout=PATIENCE) or ())
        return bool(found)

    assert poll_until(has_answered, PATIENCE), f"no offsets of {place.topic}"
    return found[1]


def _received(message: Message) -> ReceivedMessage:
    error = message.error()
    if error:
        raise KafkaException(error)
    partition, offset = message.partition(), message.offset()
    key, value = message.key(), message.value()
    assert partition is not None
    assert offset is not None
    assert isinstance(key, bytes)
    assert isinstance(value, bytes)
    headers: Any = message.headers() or ()
    texts = tuple((name, content.decode()) for name, content in headers)
    return ReceivedMessage(partition, offset, key.decode(), value, texts)
