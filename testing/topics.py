"""What is on a topic, read back by a real consumer."""

from __future__ import annotations

import json
import uuid
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from confluent_kafka import Consumer, KafkaException, Message, TopicPartition

from devservers.child_processes import PATIENCE, poll_until


@dataclass(frozen=True, slots=True)
class ReceivedMessage:
    """One message as a consumer gets it."""

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
    """One topic from now on: what it held when this was made is left out."""

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
        """How many messages have come."""
        return sum(end - self._begin.get(number, 0) for number, end in self._ends().items())

    def read(self, count: int, *, seconds: float = PATIENCE) -> list[ReceivedMessage]:
        """The messages that have come, in order within each partition.

        Waits until they are at least so many. AssertionError if they are not that many in time,
        or more: nothing may arrive twice.
        """
        poll_until(lambda: self.count() >= count, seconds)
        present = self.count()
        assert present == count, f"{present} messages on {self.name}, expected {count}"
        return self._messages(count)

    def so_far(self) -> list[ReceivedMessage]:
        """The messages that have come until now, in order within each partition."""
        return self._messages(self.count())

    def partitions(self) -> int:
        """How many partitions it has; 0 while there is no such topic."""
        return len(self._ends())

    def _messages(self, count: int) -> list[ReceivedMessage]:
        self._consumer.assign(
            [TopicPartition(self.name, n, self._begin.get(n, 0)) for n in sorted(self._ends())]
        )
        received: list[ReceivedMessage] = []
        while len(received) < count:
            batch = self._consumer.consume(count - len(received), timeout=PATIENCE)
            assert batch, f"only {len(received)} of {count} messages could be read"
            received += map(_received, batch)
        self._consumer.unassign()
        return received

    def _ends(self) -> dict[int, int]:
        """The offset behind the last message of each partition; none while there is no topic."""
        # Asked for by its name, a broker might create it.
        topic = self._consumer.list_topics(timeout=PATIENCE).topics.get(self.name)
        return {number: self._end(number) for number in (topic.partitions if topic else ())}

    def _end(self, partition: int) -> int:
        place = TopicPartition(self.name, partition)
        found: list[int] = []

        def asked() -> bool:
            # A broker that has just started does not lead its partitions yet.
            with suppress(KafkaException):
                offsets = self._consumer.get_watermark_offsets(place, timeout=PATIENCE)
                found.extend(offsets or ())
            return bool(found)

        assert poll_until(asked, PATIENCE), f"{self.name} does not tell how long it is"
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
