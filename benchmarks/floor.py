"""The least cost of a scheduler's work: one statement, its events straight to Kafka.

No outbox, no batches, no recovery after a crash; but the same commit on the disk, the same bytes,
and an idempotent producer that waits for all replicas, like ours.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from confluent_kafka import KafkaError, Message, Producer
from psycopg.rows import tuple_row

from common.events import envelope
from common.events.producer import EventProducer
from common.events.topics import BROKERS_DEFAULT, TopicForm
from testing.database import TestDatabase

FLUSH_SECONDS = 60.0
# Rows per chunk that libpq returns while the statement runs.
CHUNK_ROWS = 500

Parameters = Mapping[str, object]


def messages(event: envelope.Event, rows: str) -> str:
    """SQL that selects the messages that the event inserts: topic, key, id and text."""
    _, select, rest = event.insert(rows).partition("SELECT")
    return f"""
    SELECT topic, key, event_id::text, payload
    FROM ({select}{rest.rpartition("RETURNING")[0]})
        AS event (service, topic, key, event_id, occurred_at, payload)"""


def change(database: TestDatabase, statement: str, parameters: Parameters) -> float:
    """Run a statement; returns the seconds, with those for its connection."""
    started = time.monotonic()
    with database.connect() as connection:
        connection.execute(statement, parameters)
    return time.monotonic() - started


def announce(
    database: TestDatabase, brokers: str, service: str, statement: str, now: datetime
) -> float:
    """Run a statement and send the messages that it selects, while it runs.

    Returns the seconds until the last one was stored. AssertionError if one was not.
    """
    started = time.monotonic()
    # The worker's own producer: a fair comparison needs the same settings.
    configuration = {"bootstrap.servers": brokers, "log_level": "0"}
    form = TopicForm(partitions=3, replication=BROKERS_DEFAULT)
    producer = EventProducer(configuration, "floor", form)._open()
    occurred_at = now.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    failed: list[str] = []

    def on_delivery(error: KafkaError | None, _: Message) -> None:
        if error:
            failed.append(error.str())

    with database.connect(row_factory=tuple_row) as connection, connection.cursor() as cursor:
        selected = cursor.stream(statement, {"now": now}, size=CHUNK_ROWS)
        for number, (topic, key, event, payload) in enumerate(selected):
            headers = envelope.headers(service, topic, event, occurred_at)
            _produce(producer, topic, payload, key, headers=headers, on_delivery=on_delivery)
            if number % CHUNK_ROWS == 0:
                producer.poll(0)
    left = producer.flush(FLUSH_SECONDS)
    seconds = time.monotonic() - started
    assert not left, f"{left} messages are not stored"
    assert not failed, f"{len(failed)} messages failed: {failed[:3]}"
    return seconds


def _produce(producer: Producer, *message: Any, **details: Any) -> None:
    while True:
        try:
            producer.produce(*message, **details)
            return
        except BufferError:
            producer.poll(0.1)  # librdkafka's queue is full: let it drain
