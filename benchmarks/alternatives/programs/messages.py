"""The message of an expired link, its delivery, and the report of a pass."""

from __future__ import annotations

import json
import os
import time
import uuid
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

from confluent_kafka import KafkaError, Message, Producer

TOPIC = "link.expired"
SOURCE = "link-service"

Headers = Sequence[tuple[str, str]]


class Deliveries:
    """A producer with the workers' guarantees; counts the messages that the broker has stored."""

    def __init__(self, *, linger_ms: int = 5) -> None:
        """``linger_ms``: how long a message waits for others in its batch."""
        self.delivered = 0
        self._producer = Producer(
            {
                "bootstrap.servers": os.environ["KAFKA_BROKERS"],
                "enable.idempotence": True,
                "acks": "all",
                "partitioner": "fnv1a_random",
                "linger.ms": linger_ms,
            }
        )

    def send(self, key: str, value: str, headers: Headers) -> None:
        """Give one message to librdkafka, which sends it in the background."""
        self._producer.produce(
            TOPIC, key=key, value=value, headers=list(headers), on_delivery=self._on_delivery
        )
        self._producer.poll(0)

    def flush(self) -> None:
        """Wait for the broker's reply for every message."""
        self._producer.flush()

    def _on_delivery(self, error: KafkaError | None, _: Message) -> None:
        if error is None:
            self.delivered += 1


def expired(
    link_id: uuid.UUID, short_code: str, expires_at: datetime, now: datetime
) -> tuple[str, str, Headers]:
    """The key, value and headers of the worker's message for the same link."""
    event_id, timestamp = str(uuid.uuid4()), _rfc3339(now)
    fields = live_fields(link_id, short_code, expires_at)
    envelope = {"id": event_id, "type": TOPIC, "source": SOURCE, "timestamp": timestamp}
    headers = (
        *live_headers(now),
        ("ce_id", event_id),
        ("ce_source", SOURCE),
        ("ce_type", TOPIC),
        ("ce_time", timestamp),
        ("ce_specversion", "1.0"),
        ("content-type", "application/json"),
    )
    return str(link_id), json.dumps({**fields, **envelope, "data": fields}), headers


def live_fields(link_id: uuid.UUID, short_code: str, expires_at: datetime) -> Mapping[str, str]:
    """The flat message of the Go service."""
    return {"link_id": str(link_id), "short_code": short_code, "expires_at": _rfc3339(expires_at)}


def live_headers(now: datetime) -> Headers:
    """The headers of the Go service."""
    return (("event_type", TOPIC), ("timestamp", _rfc3339(now)))


def print_report(started: float, rows: int, events: int) -> None:
    """Print the report of a pass since ``started`` (time.perf_counter), as one line of JSON."""
    seconds = time.perf_counter() - started
    # Not ru_maxrss: it starts with the parent's size at the fork.
    status = Path("/proc/self/status").read_text()
    megabytes = int(status.split("VmHWM:")[1].split()[0]) * 1024 / 1e6
    line = {"seconds": seconds, "rows": rows, "events": events, "megabytes": megabytes}
    print(json.dumps(line), flush=True)


def _rfc3339(value: datetime) -> str:
    return value.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
