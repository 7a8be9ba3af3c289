"""The Apache Kafka of the tests keeps its word, or what is proven on it proves nothing."""

import pytest
from confluent_kafka import Consumer, KafkaError, KafkaException, Producer, TopicPartition

from devservers.kafka import KafkaServer


def test_a_stored_message_survives_a_kill(kafka_server: KafkaServer) -> None:
    kafka_server.create_topic("kafka-server.survives-a-kill", partitions=1)
    assert send(kafka_server, "kafka-server.survives-a-kill", b"stored") is None

    kafka_server.kill()
    kafka_server.start()

    assert read_one(kafka_server, "kafka-server.survives-a-kill") == b"stored"


def test_a_frozen_broker_answers_nothing_until_it_thaws(kafka_server: KafkaServer) -> None:
    kafka_server.create_topic("kafka-server.frozen", partitions=1)
    kafka_server.freeze()
    try:
        error = send(kafka_server, "kafka-server.frozen", b"late", timeout_ms=1000)
    finally:
        kafka_server.thaw()

    assert error is not None
    assert error.code() == KafkaError._MSG_TIMED_OUT
    assert send(kafka_server, "kafka-server.frozen", b"on time") is None


def test_a_topic_is_not_created_by_asking_for_it(kafka_server: KafkaServer) -> None:
    producer = Producer({"bootstrap.servers": kafka_server.address})

    topic = producer.list_topics("kafka-server.unknown", timeout=10).topics["kafka-server.unknown"]

    with pytest.raises(KafkaException, match="UNKNOWN_TOPIC"):
        raise KafkaException(topic.error)


def send(
    server: KafkaServer, topic: str, value: bytes, timeout_ms: int = 60_000
) -> KafkaError | None:
    """Produce one message and return the error of its delivery report."""
    reports: list[KafkaError | None] = []
    producer = Producer({"bootstrap.servers": server.address, "message.timeout.ms": timeout_ms})
    producer.produce(topic, value, on_delivery=lambda error, message: reports.append(error))
    producer.flush(60)
    return reports[0]


def read_one(server: KafkaServer, topic: str) -> bytes | None:
    """The first message of a topic of one partition, None when there is none in time."""
    consumer = Consumer({"bootstrap.servers": server.address, "group.id": "read-one"})
    consumer.assign([TopicPartition(topic, 0, 0)])
    message = consumer.poll(30)
    consumer.close()
    return message.value() if message is not None else None
