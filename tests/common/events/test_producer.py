"""The producer against brokers: every message gets a true report, and lands where it belongs."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator

import pytest
from confluent_kafka.admin import AdminClient, ConfigResource  # type: ignore[attr-defined]

from common.events.messages import Failure, Headers, Outgoing
from common.events.producer import EventProducer
from common.events.topics import BROKERS_DEFAULT, TopicForm
from devservers.child_processes import poll_until
from devservers.kafka import KafkaServer
from testing.topics import Topic

# Key, its FNV-1a hash in 32 bits (the first five as published with the algorithm), and its
# partition of three as sarama's NewHashPartitioner has it: the hash read as a signed number,
# divided, the remainder without its sign. Read as unsigned, most would land elsewhere.
PARTITIONS = (
    ("a", 0xE40C292C, 0),  # -468,965,076 = 3 * -156,321,692
    ("b", 0xE70C2DE5, 0),  # -418,632,219 = 3 * -139,544,073
    ("c", 0xE60C2C52, 2),  # -435,409,838 = 3 * -145,136,612 - 2
    ("foobar", 0xBF9CF968, 0),  # -1,080,231,576 = 3 * -360,077,192
    ("hello", 0x4F9F2CAB, 0),  # 1,335,831,723 = 3 * 445,277,241
    ("00000000-0000-4000-8000-000000000002", 0xCE703C0F, 1),
    ("00000000-0000-4000-8000-000000000003", 0xCD703A7C, 0),
    ("00000000-0000-4000-8000-00000000000b", 0xFE70879F, 1),
    ("66666666-6666-4666-8666-666666666666", 0x17A5DF49, 1),
    ("eeeeeeee-eeee-4eee-8eee-eeeeeeeeeeee", 0x5EBDDA0B, 2),
)


@pytest.fixture
def topic() -> str:
    """The name of a topic that no other test knows."""
    return f"test.kafka.{uuid.uuid4().hex}"


@pytest.fixture
def mock_topic(mock_broker: str, topic: str) -> str:
    """The same on the broker in memory, which creates a topic that is asked for by name."""
    admin = AdminClient({"bootstrap.servers": mock_broker})
    assert poll_until(lambda: admin.list_topics(topic, timeout=10).topics[topic].error is None, 30)
    return topic


def producer_for(brokers: str) -> EventProducer:
    form = TopicForm(partitions=3, replication=BROKERS_DEFAULT)
    return EventProducer({"bootstrap.servers": brokers, "log_level": "0"}, "toast-test", form)


@pytest.fixture
def producer(kafka: str) -> Iterator[EventProducer]:
    """A producer on the real Kafka."""
    producer = producer_for(kafka)
    yield producer
    producer.close()


def outgoing(topic: str, key: str = "key", value: str = "{}", number: int = 1) -> Outgoing:
    return Outgoing(number, topic, key, value, [("event_type", topic)])


def send(producer: EventProducer, *messages: Outgoing) -> dict[int, Failure | None]:
    return producer.send(messages, stopping=lambda: False)


def test_a_key_meets_the_partition_that_the_go_producers_choose(
    kafka: str, producer: EventProducer, topic: str
) -> None:
    arrived = Topic(kafka, topic)

    reports = send(
        producer, *(outgoing(topic, key, number=i) for i, (key, _, _) in enumerate(PARTITIONS))
    )

    assert set(reports.values()) == {None}
    received = {message.key: message.partition for message in arrived.read(len(PARTITIONS))}
    assert received == {key: partition for key, _, partition in PARTITIONS}


def test_the_partitions_expected_are_those_of_the_hashes() -> None:
    for key, fnv1a, partition in PARTITIONS:
        signed = fnv1a - (fnv1a >> 31 << 32)
        assert abs(signed) % 3 == partition, key


def test_a_message_arrives_as_it_was_given(mock_broker: str, mock_topic: str) -> None:
    producer = producer_for(mock_broker)
    headers: Headers = [
        ("event_type", "a.b.c"),
        ("timestamp", "2026-01-02T03:04:05.000006Z"),
        ("x", "ü"),
    ]
    value = '{"title": "Ünïcode \\" and \\n"}'
    before = Topic(mock_broker, mock_topic)

    assert send(producer, Outgoing(7, mock_topic, "schlüssel", value, headers)) == {7: None}

    [message] = before.read(1)
    assert (message.key, message.value.decode()) == ("schlüssel", value)
    assert list(message.headers) == headers


def test_a_missing_topic_is_created_with_3_partitions_and_7_days(
    kafka: str, producer: EventProducer, topic: str
) -> None:
    assert send(producer, outgoing(topic)) == {1: None}

    assert Topic(kafka, topic).partitions() == 3
    assert topic_setting(kafka, topic, "retention.ms") == "604800000"


def test_a_topic_that_is_there_stays_as_it_is(kafka_server: KafkaServer, topic: str) -> None:
    kafka_server.create_topic(topic, partitions=2, retention_ms="3600000")
    producer = producer_for(kafka_server.address)

    assert send(producer, outgoing(topic)) == {1: None}

    assert Topic(kafka_server.address, topic).partitions() == 2
    assert topic_setting(kafka_server.address, topic, "retention.ms") == "3600000"


def test_a_message_larger_than_any_broker_takes_is_refused_at_once(
    mock_broker: str, mock_topic: str
) -> None:
    producer = producer_for(mock_broker)
    before = Topic(mock_broker, mock_topic)

    reports = send(
        producer,
        outgoing(mock_topic, "large", "x" * 1_100_000, number=1),
        outgoing(mock_topic, "small", number=2),
    )

    assert_refused(reports[1], "Message size too large")
    assert reports[2] is None
    assert [message.key for message in before.read(1)] == ["small"]


def test_a_message_that_is_no_text_is_refused_and_others_are_sent(
    mock_broker: str, mock_topic: str
) -> None:
    producer = producer_for(mock_broker)
    arrived = Topic(mock_broker, mock_topic)

    reports = send(
        producer,
        outgoing(mock_topic, value="half a surrogate: \ud83d", number=1),
        outgoing(mock_topic, key="good", number=2),
    )

    assert reports[2] is None
    refusal = reports[1]
    assert refusal is not None
    assert (refusal.refused, refusal.shared) == (True, False)
    assert refusal.reason.startswith("UnicodeEncodeError: ")
    assert [message.key for message in arrived.read(1)] == ["good"]
    producer.close()


def test_a_message_larger_than_its_topic_takes_is_refused(
    kafka_server: KafkaServer, topic: str
) -> None:
    kafka_server.create_topic(topic, max_message_bytes="2000")
    producer = producer_for(kafka_server.address)

    assert_refused(send(producer, outgoing(topic, value="x" * 3000))[1], "Message size too large")
    assert send(producer, outgoing(topic, value="x" * 1000)) == {1: None}


def test_a_topic_that_cannot_be_is_refused_and_others_are_served(
    kafka: str, producer: EventProducer, topic: str
) -> None:
    reports = send(producer, outgoing("no such topic!", number=1), outgoing(topic, number=2))

    assert_refused(reports[1], "topic")
    assert reports[2] is None


def test_a_frozen_broker_is_no_refusal_and_is_left_when_the_stop_comes(
    kafka_server: KafkaServer, topic: str
) -> None:
    kafka_server.create_topic(topic)
    producer = producer_for(kafka_server.address)
    send(producer, outgoing(topic, "before"))
    arrived = Topic(kafka_server.address, topic)
    stop_at = time.monotonic() + 0.5

    kafka_server.freeze()
    try:
        reports = producer.send([outgoing(topic)], stopping=lambda: time.monotonic() > stop_at)
    finally:
        kafka_server.thaw()

    assert reports == {}  # neither stored nor refused
    assert send(producer, outgoing(topic, "after")) == {1: None}
    assert "after" in [message.key for message in arrived.read(arrived.count())]


def test_the_first_message_of_a_producer_does_not_wait_for_its_id(kafka: str, topic: str) -> None:
    """librdkafka asks for the id of a producer again after half a second only."""
    seconds = []
    for _ in range(150):
        producer, began = producer_for(kafka), time.monotonic()
        assert send(producer, outgoing(topic)) == {1: None}
        seconds.append(time.monotonic() - began)
        producer.close()
    # The first one created the topic; a busy machine may hold up another.
    assert sum(each > 0.45 for each in seconds) <= 3, seconds


def test_a_closed_producer_opens_again(mock_broker: str, mock_topic: str) -> None:
    producer = producer_for(mock_broker)
    arrived = Topic(mock_broker, mock_topic)
    assert send(producer, outgoing(mock_topic, "first")) == {1: None}
    producer.close()
    producer.close()
    assert send(producer, outgoing(mock_topic, "second")) == {1: None}
    assert {message.key for message in arrived.read(2)} == {"first", "second"}


def assert_refused(failure: Failure | None, reason: str) -> None:
    assert failure is not None
    assert failure.refused
    assert reason in failure.reason


def topic_setting(brokers: str, topic: str, name: str) -> str | None:
    admin = AdminClient({"bootstrap.servers": brokers})
    resource = ConfigResource(ConfigResource.Type.TOPIC, topic)
    entry = admin.describe_configs([resource])[resource].result(30)[name]
    return str(entry.value)


def test_a_topic_that_was_deleted_is_created_again_at_the_next_try(
    kafka_server: KafkaServer, producer: EventProducer, topic: str
) -> None:
    assert send(producer, outgoing(topic)) == {1: None}
    admin = AdminClient({"bootstrap.servers": kafka_server.address})
    admin.delete_topics([topic])[topic].result(30)

    # The client may lose its connection as well, which is over by itself.
    tries = (send(producer, outgoing(topic))[1] for _ in range(10))
    refused = next(failure for failure in tries if failure is None or failure.refused)
    assert refused
    assert send(producer, outgoing(topic)) == {1: None}
