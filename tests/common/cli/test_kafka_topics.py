"""The topics on a real Kafka: who reads them, and how they are created before the first event."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from contextlib import contextmanager

from confluent_kafka import Consumer, TopicPartition
from confluent_kafka.admin import AdminClient, ConfigResource  # type: ignore[attr-defined]

import workers
from devservers.child_processes import PATIENCE, poll_until
from devservers.kafka import KafkaServer
from testing.database import TestDatabase
from testing.processes import NO_BROKER, environment, toast
from tests.promises.takeover.live_side import DEFAULT_TOPICS

TOPIC = "blog.post.scheduled.published"


def has_partitions(consumer: Consumer) -> bool:
    consumer.poll(0.1)
    return bool(consumer.assignment())


@contextmanager
def consumer(brokers: str, group: str, *topics: str) -> Iterator[Consumer]:
    """A consumer that has partitions of the topics."""
    consumer = Consumer(
        {"bootstrap.servers": brokers, "group.id": group, "enable.auto.commit": False}
    )
    try:
        consumer.subscribe(list(topics))
        assert poll_until(lambda: has_partitions(consumer), PATIENCE)
        yield consumer
    finally:
        consumer.close()


def test_check_says_of_each_topic_which_consumer_group_has_it(
    module_database: TestDatabase, kafka_server: KafkaServer
) -> None:
    brokers, group = kafka_server.address, f"notification-{uuid.uuid4().hex}"
    env = environment(module_database, brokers)

    def readers() -> tuple[str, str, str]:
        answer = toast("check", "blog", "--json", env=env)
        [found] = [one for one in json.loads(answer.out) if one["check"] == "readers"]
        return found["level"], found["message"], found["fix"]

    kafka_server.create_topic(TOPIC)
    level, message, fix = readers()
    assert (level, message) == ("warning", f"{TOPIC}: no consumer group has it")
    assert "KAFKA_TOPICS" in fix
    with consumer(brokers, group, TOPIC) as running:
        assert readers() == ("ok", f"{TOPIC}: {group}", "")
        running.commit(offsets=[TopicPartition(TOPIC, 0, 0)], asynchronous=False)
    level, message, _ = readers()
    assert (level, message) == (
        "warning",
        f"{TOPIC}: no consumer has it now; {group} had it before",
    )


def test_migrate_creates_missing_topics_on_request(
    module_database: TestDatabase, kafka_server: KafkaServer
) -> None:
    topics = sorted(workers.load("warcraft").topics)
    env = environment(module_database, kafka_server.address, KAFKA_TOPIC_PARTITIONS="2")
    command = ("migrate", "--topics", "--service", "warcraft")

    too_many = toast(*command, env={**env, "KAFKA_TOPIC_REPLICATION_FACTOR": "3"})
    first, second = toast(*command, env=env), toast(*command, env=env)

    assert too_many.code == 1
    assert f"topic {topics[0]} cannot be created: " in too_many.err
    assert "replication factor of 3 cannot be reached" in too_many.err
    assert (first.code, first.err) == (second.code, second.err) == (0, "")
    _, *lines, advice = first.out.splitlines()
    assert lines == [f"created topic {topic}" for topic in topics]
    assert advice == "restart the consumers: one that runs does not notice a new topic"
    assert second.out.splitlines()[1:] == ["nothing to do: every topic is there"]
    admin = AdminClient({"bootstrap.servers": kafka_server.address})
    created = admin.list_topics(timeout=10).topics
    assert {len(created[topic].partitions) for topic in topics} == {2}
    [(_, described)] = admin.describe_configs(
        [ConfigResource(ConfigResource.Type.TOPIC, topics[0])]
    ).items()
    assert described.result(PATIENCE)["retention.ms"].value == "604800000"


def test_migrate_names_the_broker_that_cannot_be_asked_for_topics(
    module_database: TestDatabase,
) -> None:
    answer = toast("migrate", "--topics", env=environment(module_database, NO_BROKER))
    assert answer.code == 1
    assert answer.out.startswith("nothing to do: every migration has been applied")
    assert "toast: Kafka: " in answer.err
    assert f"{NO_BROKER}/bootstrap: Connect to ipv4#{NO_BROKER} failed" in answer.err


def test_check_names_the_topics_that_a_live_consumer_lacks_by_default(
    module_database: TestDatabase, kafka_server: KafkaServer
) -> None:
    group = f"sse-{uuid.uuid4().hex}"
    client = {"BLIZZARD_CLIENT_ID": "any", "BLIZZARD_CLIENT_SECRET": "a-secret"}
    nowhere = dict.fromkeys(("BLIZZARD_API_URL", "BLIZZARD_OAUTH_URL"), f"http://{NO_BROKER}")
    env = environment(module_database, kafka_server.address, **client, **nowhere)
    assert toast("migrate", "--topics", env=env).code == 0
    topics = {name: set(workers.load(name).topics) for name in workers.SERVICES}
    every = set().union(*topics.values())
    with consumer(kafka_server.address, group, *every & DEFAULT_TOPICS):
        answers = [toast("check", name, "--json", env=env) for name in topics if topics[name]]

    found = [one for each in answers for one in json.loads(each.out) if one["check"] == "readers"]
    read = {one["message"].split(":")[0] for one in found if group in one["message"]}
    unread = {one["message"].split(":")[0] for one in found if one["level"] == "warning"}
    assert (read, unread) == (every & DEFAULT_TOPICS, every - DEFAULT_TOPICS)
