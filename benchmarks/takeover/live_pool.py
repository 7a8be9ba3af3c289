"""A consumer that queues and sends deliveries as the live webhook service does."""

from __future__ import annotations

import queue
import threading
import time
import uuid
from dataclasses import dataclass
from typing import Self

from confluent_kafka import Consumer, TopicPartition

from devservers.child_processes import PATIENCE
from testing.topics import end_of

# How long it waits for messages before it looks whether it is to end.
_POLL_SECONDS = 0.1


@dataclass(frozen=True, slots=True)
class Shape:
    """The queue and the workers of the pool, and the seconds that a receiver takes to answer."""

    queue: int = 1_000
    workers: int = 10
    seconds: float = 0.1

    @property
    def per_second(self) -> float:
        """The deliveries that it sends in a second at most."""
        return self.workers / self.seconds


class LivePool:
    """Takes each event of a topic, from now on, for one delivery.

    As the live pool, it refuses a delivery for which its queue has no room: `taken`, `refused` and
    `sent` count them, and `longest` is the longest that the queue was.
    """

    def __init__(self, brokers: str, topic: str, shape: Shape) -> None:
        self.taken = self.refused = self.sent = self.longest = 0
        self._shape = shape
        self._queue: queue.Queue[bytes] = queue.Queue(shape.queue)
        self._ends = threading.Event()
        self._lock = threading.Lock()
        self._consumer = Consumer(
            {
                "bootstrap.servers": brokers,
                "group.id": f"live-pool-{uuid.uuid4()}",  # required, though no group is joined
                "enable.auto.commit": False,
                "auto.offset.reset": "error",
            }
        )
        partitions = self._consumer.list_topics(topic, timeout=PATIENCE).topics[topic].partitions
        places = [TopicPartition(topic, number) for number in partitions]
        for place in places:
            place.offset = end_of(self._consumer, place)
        self._consumer.assign(places)
        senders = [threading.Thread(target=self._send, daemon=True) for _ in range(shape.workers)]
        self._threads = [threading.Thread(target=self._consume, daemon=True), *senders]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._ends.set()
        for thread in self._threads:
            thread.join(PATIENCE)
        self._consumer.close()

    def _consume(self) -> None:
        while not self._ends.is_set():
            for message in self._consumer.consume(100, timeout=_POLL_SECONDS):
                content = message.value()
                assert isinstance(content, bytes), message.error()
                try:
                    self._queue.put_nowait(content)
                    self.taken += 1
                    self.longest = max(self.longest, self._queue.qsize())
                except queue.Full:
                    self.refused += 1

    def _send(self) -> None:
        while not self._ends.is_set():
            try:
                self._queue.get(timeout=_POLL_SECONDS)
            except queue.Empty:
                continue
            time.sleep(self._shape.seconds)
            with self._lock:
                self.sent += 1
