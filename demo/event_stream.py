"""The published events, read from their topics; the broker stores nothing about the reader."""

import contextlib
import json
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from confluent_kafka import Consumer, KafkaException, Message, TopicPartition

DISCOVERY_SECONDS = 2.0
CALL_SECONDS = 2.0
MOST_MESSAGES = 100

_Place = tuple[str, int]  # topic and partition


@dataclass(frozen=True, slots=True)
class PublishedEvent:
    """One message: the broker's time, its topic and key, and the fields of its event."""

    time: datetime
    topic: str
    key: str
    fields: dict[str, Any]


class EventStream:
    """Reads topics from their beginning, or from their present end.

    Partitions are assigned, not subscribed to, and no offset is committed, so the broker stores
    nothing. Topics that are created later are read from their beginning.
    """

    def __init__(
        self, brokers: Sequence[str], topics: Sequence[str], *, from_beginning: bool
    ) -> None:
        self._topics = frozenset(topics)
        self._new_from_beginning = from_beginning
        self._next_offsets: dict[_Place, int] = {}
        self._discover_at = 0.0
        client: dict[str, Any] = {
            "bootstrap.servers": ",".join(brokers),
            "group.id": "toast-demo",  # required by librdkafka, not sent to the broker
            "enable.auto.commit": False,
            "allow.auto.create.topics": False,
            "log_level": 0,
            "error_cb": lambda error: None,  # without a broker there are no events
        }
        self._consumer = Consumer(client)
        # On the consumer's own connection every query would wait for its long poll.
        self._metadata = Consumer(client)
        self._discover()

    def close(self) -> None:
        """Close the connections to the broker."""
        self._consumer.close()
        self._metadata.close()

    def poll(self, seconds: float) -> Iterator[PublishedEvent]:
        """The events that arrive within `seconds`."""
        if time.monotonic() >= self._discover_at:
            self._discover()
        for message in self._consumer.consume(MOST_MESSAGES, seconds):
            if message.error() is None:
                yield self._event(message)

    def drain(self, seconds: float) -> Iterator[PublishedEvent]:
        """All events up to the present ends of the topics, for at most `seconds`."""
        deadline = time.monotonic() + seconds
        self._discover()
        ends = self._ends(self._next_offsets)
        while time.monotonic() < deadline and any(
            self._next_offsets[place] < end for place, end in ends.items()
        ):
            yield from self.poll(0.2)

    def _discover(self) -> None:
        """Assign new partitions."""
        self._discover_at = time.monotonic() + DISCOVERY_SECONDS
        try:
            present = self._metadata.list_topics(timeout=CALL_SECONDS).topics
        except KafkaException:
            return  # the broker is away; the next call tries again
        fresh = [
            (topic, partition)
            for topic in self._topics & present.keys()
            for partition in present[topic].partitions
            if (topic, partition) not in self._next_offsets
        ]
        starts = dict.fromkeys(fresh, 0) if self._new_from_beginning else self._ends(fresh)
        self._new_from_beginning = True
        self._next_offsets.update(starts)
        if starts:
            self._consumer.incremental_assign(
                [
                    TopicPartition(topic, partition, start)
                    for (topic, partition), start in starts.items()
                ]
            )

    def _ends(self, places: Iterable[_Place]) -> dict[_Place, int]:
        """The offset after the last message of each partition whose leader is available."""
        ends = {}
        for topic, partition in places:
            with contextlib.suppress(KafkaException):
                _, ends[topic, partition] = self._metadata.get_watermark_offsets(
                    TopicPartition(topic, partition), timeout=CALL_SECONDS
                )
        return ends

    def _event(self, message: Message) -> PublishedEvent:
        topic, partition, offset = message.topic(), message.partition(), message.offset()
        assert topic is not None
        assert partition is not None
        assert offset is not None
        self._next_offsets[topic, partition] = offset + 1
        _, milliseconds = message.timestamp()
        return PublishedEvent(
            time=datetime.fromtimestamp(milliseconds / 1000, UTC),
            topic=topic,
            key=(message.key() or b"").decode(errors="replace"),
            fields=_fields(message.value() or b""),
        )


def _fields(value: bytes) -> dict[str, Any]:
    """The event's own fields: `data` of the envelope, or the object itself without one."""
    try:
        content = json.loads(value)
    except ValueError:
        content = None
    if not isinstance(content, dict):
        return {}
    data = content.get("data")
    return data if isinstance(data, dict) else content
