"""From the outbox to Kafka: everything, once, in order, and nothing stands in the way."""

from __future__ import annotations

import dataclasses
import itertools
import json
import threading
import uuid
from collections import defaultdict
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any, cast

import psycopg
import pytest

from common import metrics
from common.database import migrations
from common.database.connection import Database
from common.database.run_history import Run
from common.events.publisher import Publisher
from common.events.round import Published, Stop
from common.scheduling.scheduler import PassResult
from common.scheduling.under_way import heartbeat
from common.worker import publisher_thread
from common.worker.publisher_thread import PublisherThread
from common.worker.sentry import Reports
from devservers import live_tables
from devservers.child_processes import PATIENCE, poll_until
from devservers.kafka import KafkaServer
from devservers.tcp_proxy import TcpProxy
from testing.database import TestDatabase
from testing.processes import Process, environment
from testing.topics import ReceivedMessage, Topic
from tests.support.outbox_rows import add_event
from tests.support.probes import settings

TOPIC = "link.expired"
TOO_LARGE = '"' + "x" * 1_100_000 + '"'

LOCK = "SELECT pg_advisory_lock(hashtextextended('toast-outbox/link', 0))"

NEVER = threading.Event()

Make = Callable[..., Publisher]


@pytest.fixture
def make(database: TestDatabase, monkeypatch: pytest.MonkeyPatch) -> Iterator[Make]:
    """Make the publisher of the service link for these brokers."""
    made: list[Publisher] = []

    def make(brokers: str, **more: str) -> Publisher:
        loaded = settings(database, monkeypatch, brokers, **more)
        made.append(Publisher(loaded, Database(loaded)))
        return made[-1]

    yield make
    for publisher in made:
        publisher.close()


@pytest.fixture
def publisher(make: Make, mock_broker: str) -> Publisher:
    return make(mock_broker)


@pytest.fixture
def topic(mock_broker: str) -> Topic:
    return Topic(mock_broker, TOPIC)


def drain(publisher: Publisher) -> Published:
    return publisher.drain(Stop(lambda: False, NEVER.wait))


def waiting(database: TestDatabase) -> list[dict[str, Any]]:
    return database.query("SELECT * FROM toast_outbox ORDER BY id")


def set_aside(database: TestDatabase) -> list[dict[str, Any]]:
    return database.query("SELECT * FROM toast_outbox_set_aside ORDER BY id")


def let_the_rest_be_over(database: TestDatabase) -> None:
    database.query("UPDATE toast_outbox SET retry_at = '2026-01-01' WHERE retry_at IS NOT NULL")


def values_by_key(messages: list[ReceivedMessage]) -> dict[str, list[str]]:
    """The values of each key in the order of the topic."""
    by_key = defaultdict(list)
    for message in sorted(messages, key=lambda message: (message.partition, message.offset)):
        by_key[message.key].append(message.value.decode())
    return dict(by_key)


# --- what is published ------------------------------------------------------------------------


def test_an_event_is_published_as_it_was_stored_and_then_deleted(
    database: TestDatabase, publisher: Publisher, topic: Topic
) -> None:
    event_id = uuid.UUID("0b5ff0b2-95a3-4b79-b1ac-dd4bdb5fb0c1")
    payload = '{"b": "Ünïcode",  "a":1}'
    others = add_event(database, service="blog", topic="blog.post.scheduled.published")
    moment = datetime(2026, 1, 2, 3, 4, 5, 678900, tzinfo=UTC)
    add_event(database, key="k1", payload=payload, event_id=event_id, occurred_at=moment)

    assert drain(publisher) == Published(published=1)

    [message] = topic.read(1)
    assert (message.key, message.value.decode()) == ("k1", payload)
    assert message.headers == (
        ("event_type", "link.expired"),
        ("timestamp", "2026-01-02T03:04:05.678900Z"),
        ("ce_id", str(event_id)),
        ("ce_source", "link-service"),
        ("ce_type", "link.expired"),
        ("ce_time", "2026-01-02T03:04:05.678900Z"),
        ("ce_specversion", "1.0"),
        ("content-type", "application/json"),
    )
    assert [row["id"] for row in waiting(database)] == [others]


def test_an_empty_outbox_publishes_nothing(publisher: Publisher) -> None:
    assert drain(publisher) == Published()


def test_the_events_of_a_key_arrive_in_their_order(
    database: TestDatabase, publisher: Publisher, topic: Topic
) -> None:
    keys = ("a", "b", "c")
    for number in range(15):
        for key in keys:
            add_event(database, key=key, payload=str(number))

    assert drain(publisher).published == 45

    expected = [str(number) for number in range(15)]
    assert values_by_key(topic.read(45)) == dict.fromkeys(keys, expected)


def test_a_backlog_of_several_batches_is_published_in_one_round(
    database: TestDatabase, publisher: Publisher, topic: Topic
) -> None:
    database.query(
        "INSERT INTO toast_outbox (service, topic, key, event_id, occurred_at, payload)"
        " SELECT 'link', 'link.expired', n % 3000, gen_random_uuid(), now(), n"
        " FROM generate_series(0, 5999) AS n"
    )

    assert drain(publisher) == Published(published=6000)

    expected = {str(key): [str(key), str(key + 3000)] for key in range(3000)}
    assert values_by_key(topic.read(6000)) == expected
    assert waiting(database) == []


def test_an_event_that_was_committed_late_is_not_lost(
    database: TestDatabase, publisher: Publisher, topic: Topic
) -> None:
    with database.connect(autocommit=False) as late:
        late.execute(
            "INSERT INTO toast_outbox (service, topic, key, event_id, occurred_at, payload)"
            " VALUES ('link', 'link.expired', 'late', gen_random_uuid(), now(), '1')"
        )
        for key in ("second", "third"):
            add_event(database, key=key)
        assert drain(publisher).published == 2
        late.commit()

    assert drain(publisher).published == 1
    assert {message.key for message in topic.read(3)} == {"late", "second", "third"}


# --- refusals ---------------------------------------------------------------------------------


def test_a_refused_event_holds_back_its_key_and_no_other(
    database: TestDatabase, publisher: Publisher, topic: Topic
) -> None:
    large = add_event(database, key="a", payload=TOO_LARGE)
    held = add_event(database, key="a", payload="1")
    add_event(database, key="b", payload="2")

    outcome = drain(publisher)

    assert (outcome.published, outcome.left, outcome.reason) == (1, 2, "")
    assert [message.key for message in topic.read(1)] == ["b"]
    first, second = waiting(database)
    assert (first["id"], first["tries"]) == (large, 1)
    assert "Message size too large" in first["error"]
    assert (second["id"], second["tries"], second["retry_at"]) == (held, 0, None)

    drain(publisher)  # too early for another try
    assert [row["tries"] for row in waiting(database)] == [1, 0]


def test_after_five_tries_an_event_is_set_aside_and_its_key_goes_on(
    database: TestDatabase, publisher: Publisher, topic: Topic
) -> None:
    large = add_event(database, key="a", payload=TOO_LARGE)
    add_event(database, key="a", payload="1")
    rests = []
    for tries in range(1, 5):
        drain(publisher)
        [row] = database.query(
            "SELECT tries, retry_at - clock_timestamp() AS rest FROM toast_outbox WHERE id = %s",
            large,
        )
        assert row["tries"] == tries
        rests.append(row["rest"].total_seconds())
        let_the_rest_be_over(database)

    assert drain(publisher) == Published(published=1, set_aside=1)

    for rest, expected in zip(rests, (2, 4, 8, 16), strict=True):
        assert expected / 2 < rest <= expected
    [row] = set_aside(database)
    assert (row["id"], row["tries"]) == (large, 5)
    assert "Message size too large" in row["error"]
    assert values_by_key(topic.read(1)) == {"a": ["1"]}
    assert waiting(database) == []


def test_a_topic_that_cannot_be_is_refused_and_others_are_served(
    database: TestDatabase, make: Make, kafka: str
) -> None:
    good = f"test.publisher.{uuid.uuid4().hex}"
    add_event(database, topic="no such topic!", key="a")
    add_event(database, topic=good, key="a")
    arrived = Topic(kafka, good)
    publisher = make(kafka)

    def drained() -> bool:
        let_the_rest_be_over(database)
        drain(publisher)
        return waiting(database) == []

    assert poll_until(drained, PATIENCE)
    [row] = set_aside(database)
    assert (row["topic"], row["tries"]) == ("no such topic!", 5)
    assert "topic" in row["error"]
    arrived.read(1)


def test_a_message_too_large_for_its_topic_takes_no_other_down(
    database: TestDatabase, make: Make, kafka_server: KafkaServer
) -> None:
    small_topic = f"test.publisher.{uuid.uuid4().hex}"
    kafka_server.create_topic(small_topic, partitions=1, max_message_bytes="3000")
    large = add_event(database, topic=small_topic, key="large", payload=json.dumps("x" * 4000))
    for number in range(20):
        add_event(database, topic=small_topic, key=str(number), payload=json.dumps("x" * 500))
    arrived = Topic(kafka_server.address, small_topic)
    publisher = make(kafka_server.address)

    for _ in range(5):
        drain(publisher)
        let_the_rest_be_over(database)

    assert [row["id"] for row in set_aside(database)] == [large]
    assert {message.key for message in arrived.read(20)} == {str(n) for n in range(20)}


def test_an_event_that_cannot_be_read_is_set_aside_and_others_go_on(
    module_database: TestDatabase, mock_broker: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In WIN1252, the byte 0x81 is text that UTF-8 has nothing for."""
    name, owner = "windows", TestDatabase(module_database.server, "postgres")
    owner.query(f"CREATE DATABASE {name} TEMPLATE template0 ENCODING 'WIN1252' LOCALE 'C'")
    try:
        database = TestDatabase(module_database.server, name)
        with database.session() as connection:
            migrations.migrate(connection, migrations.all_migrations())
        add_event(database, key="before")
        with database.connect(client_encoding="WIN1252") as connection:
            connection.execute(
                "INSERT INTO toast_outbox (service, topic, key, event_id, occurred_at, payload)"
                " VALUES ('link', %s, 'odd', gen_random_uuid(), now(),"
                " convert_from('\\x2281ff22', 'WIN1252'))",
                (TOPIC,),
            )
        add_event(database, key="after")
        loaded = settings(database, monkeypatch, mock_broker)
        publisher = Publisher(loaded, Database(loaded))
        assert drain(publisher) == Published(published=2, set_aside=1)
        assert drain(publisher) == Published()
        publisher.close()
        [row] = database.query("SELECT key, error FROM toast_outbox_set_aside")
        assert row["key"] == "odd"
        assert "0x81" in row["error"]
        assert row["error"].endswith("=> mend the text in the row: it has no equivalent in UTF-8")
    finally:
        owner.query(f"DROP DATABASE {name} WITH (FORCE)")


def test_a_worker_on_sql_ascii_publishes_what_is_no_utf_8_and_goes_on(
    module_database: TestDatabase, mock_broker: str, topic: Topic
) -> None:
    name, owner = "ascii", TestDatabase(module_database.server, "postgres")
    owner.query(f"CREATE DATABASE {name} TEMPLATE template0 ENCODING 'SQL_ASCII' LOCALE 'C'")
    try:
        database = dataclasses.replace(module_database, name=name)
        with database.session() as connection:
            connection.execute(live_tables.sql().encode())
            migrations.migrate(connection, migrations.all_migrations())
        owner.query(f"ALTER DATABASE {name} SET client_encoding = 'UTF8'")
        link = database.insert("link_links", expires_at="2026-01-02")["id"]
        with database.session() as connection:
            connection.execute(
                "UPDATE link_links SET short_code = convert_from('\\xff61', 'SQL_ASCII')"
            )
        with Process("workers.link", env=environment(database, mock_broker)) as worker:
            worker.wait_for("events_published", published=1)
            [message] = topic.read(1)
            assert message.key == str(link)
            assert '"short_code": "\N{REPLACEMENT CHARACTER}a"' in message.value.decode()
            assert worker.stop() == 0
    finally:
        owner.query(f"DROP DATABASE {name} WITH (FORCE)")


# --- crashes, and others beside us ------------------------------------------------------------


def test_an_event_published_again_after_a_crash_is_the_same_to_the_byte(
    database: TestDatabase, make: Make, mock_broker: str, topic: Topic
) -> None:
    add_event(database, key="a", payload='{"n":  1}')
    add_event(database, key="b", payload='{"n": 2}')
    with TcpProxy(database.server.port) as proxy:
        publisher = make(mock_broker, DB_PORT=str(proxy.port))
        cut = proxy.cut_at(b"DELETE FROM toast_outbox")
        with pytest.raises(psycopg.OperationalError):
            drain(publisher)
        assert cut.is_set()
        assert len(waiting(database)) == 2

        publisher.disconnect()
        assert drain(publisher) == Published(published=2)

    messages = topic.read(4)
    first, second = ([m for m in messages if m.key == key] for key in "ab")
    for one, other in (first, second):
        assert (one.value, one.headers, one.partition) == (
            other.value,
            other.headers,
            other.partition,
        )
    assert dict(first[0].headers)["ce_id"] != dict(second[0].headers)["ce_id"]


def test_a_publisher_whose_database_has_stopped_answering_is_seen_and_broken(
    database: TestDatabase,
    make: Make,
    mock_broker: str,
    topic: Topic,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(heartbeat, "STALLED_SECONDS", 0.5)
    add_event(database)
    with TcpProxy(database.server.port) as proxy:
        thread = PublisherThread(make(mock_broker, DB_PORT=str(proxy.port)), "link")
        assert not thread.stalled()
        hangs = proxy.hang_at(b"DELETE FROM toast_outbox")
        thread.start()
        assert hangs.wait(PATIENCE)
        assert poll_until(thread.stalled, PATIENCE)
        thread.abort_connection()
        assert poll_until(lambda: not waiting(database), PATIENCE)
        thread.stop(1.0)
        thread.thread.join(PATIENCE)
        assert not thread.stalled()
    topic.read(2)


def test_one_publisher_at_a_time(
    database: TestDatabase, publisher: Publisher, topic: Topic
) -> None:
    add_event(database)
    with database.connect() as other_process:
        other_process.execute(LOCK)
        outcome = drain(publisher)
        assert outcome == Published(left=1, reason="another process is publishing", elsewhere=True)
        assert topic.count() == 0

    assert poll_until(lambda: drain(publisher).published == 1, 30)
    topic.read(1)


def test_waiting_for_another_publisher_is_not_logged_while_the_outbox_is_empty(
    database: TestDatabase, publisher: Publisher
) -> None:
    add_event(database, service="blog")
    with database.connect() as other_process:
        other_process.execute(LOCK)
        assert drain(publisher) == Published()


def test_the_publishers_of_two_services_do_not_wait_for_each_other(
    database: TestDatabase, publisher: Publisher
) -> None:
    add_event(database)
    with database.connect() as other_process:
        other_process.execute(LOCK.replace("link", "blog").encode())
        assert drain(publisher).published == 1


def test_the_lock_is_given_back_after_each_round(
    database: TestDatabase, make: Make, mock_broker: str
) -> None:
    one, other = make(mock_broker), make(mock_broker)
    for publisher in (one, other, one):
        add_event(database)
        assert drain(publisher).published == 1


def test_a_stop_ends_a_round_and_leaves_the_rest(
    database: TestDatabase, publisher: Publisher, topic: Topic
) -> None:
    for number in range(5):
        add_event(database, key="a", payload=str(number))
    publisher.drain(Stop(lambda: topic.count() >= 2, NEVER.wait))

    left = [int(row["payload"]) for row in waiting(database)]
    assert left in ([2, 3, 4], [1, 2, 3, 4])  # the second may lack its report
    drain(publisher)
    arrived = values_by_key(topic.read(topic.count()))["a"]
    assert list(dict.fromkeys(arrived)) == ["0", "1", "2", "3", "4"]


# --- the thread -------------------------------------------------------------------------------


@pytest.fixture
def thread(publisher: Publisher) -> Iterator[PublisherThread]:
    """The publisher's thread, started."""
    thread = PublisherThread(publisher, "link")
    thread.start()
    yield thread
    thread.stop(5)
    thread.thread.join(30)
    assert not thread.thread.is_alive()


def announce(thread: PublisherThread) -> None:
    """Report a commit to it, as the runner of a pass does."""
    thread.progressed(Run("link", "probe"), PassResult(events=1), None)


def test_a_commit_is_published_at_once(
    database: TestDatabase, thread: PublisherThread, topic: Topic
) -> None:
    for count in range(1, 4):
        add_event(database)
        announce(thread)
        topic.read(count)


def test_what_others_left_behind_is_found_and_no_connection_is_held_meanwhile(
    database: TestDatabase, publisher: Publisher, topic: Topic, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(publisher_thread, "IDLE_SECONDS", 0.1)
    monkeypatch.setattr(publisher_thread, "SWEEP_SECONDS", 1.0)
    thread = PublisherThread(publisher, "link")
    thread.start()
    try:
        assert poll_until(lambda: publisher.connection is not None, 30, 0.01)
        assert poll_until(lambda: publisher.connection is None, 30, 0.01)
        add_event(database)
        topic.read(1)
    finally:
        thread.stop(5)
        thread.thread.join(30)


def test_a_publisher_checks_the_outbox_about_every_three_minutes() -> None:
    assert publisher_thread.IDLE_SECONDS + publisher_thread.SWEEP_SECONDS == 190


def test_a_stop_publishes_the_events_that_are_ready(
    database: TestDatabase, thread: PublisherThread, topic: Topic
) -> None:
    add_event(database)
    announce(thread)
    topic.read(1)  # now it waits for more
    for number in range(50):
        add_event(database, key=str(number))
    thread.stop(10)
    thread.thread.join(30)
    topic.read(51)
    assert waiting(database) == []


def test_a_database_that_fails_does_not_end_the_thread(
    database: TestDatabase, thread: PublisherThread, topic: Topic, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A busy machine may take longer to read the first event than an idle publisher keeps it.
    monkeypatch.setattr(publisher_thread, "IDLE_SECONDS", 600.0)
    end_ours = (
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE application_name = 'toast-link' AND datname = current_database()"
    )
    counts = itertools.count(1)

    def publish_one() -> None:
        add_event(database)
        announce(thread)
        topic.read(next(counts))
        # Else it is sent again.
        assert poll_until(lambda: not database.count("toast_outbox"), PATIENCE)

    def end_its_session() -> bool:
        # A round that was under way publishes the event, and the next one, which the announcement
        # starts, finds nothing and gives the connection up: then another event is needed.
        publish_one()
        return bool(database.query(end_ours))

    assert poll_until(end_its_session, 30)
    publish_one()


class Broken:
    """A publisher with a defect: its first rounds, and its end, raise what no code expects."""

    def __init__(self, publisher: Publisher) -> None:
        self._publisher = publisher
        self.connection = None
        self.rounds = 2

    def drain(self, stop: Stop) -> Published:
        if self.rounds:
            self.rounds -= 1
            raise UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid start byte")
        return self._publisher.drain(stop)

    def close(self) -> None:
        self._publisher.close()
        raise RuntimeError("cannot be closed")

    def disconnect(self) -> None:
        self._publisher.disconnect()


class CollectedErrors:
    """Takes the place of Sentry."""

    def __init__(self) -> None:
        self.errors: list[BaseException] = []

    def failure(self, error: BaseException) -> None:
        self.errors.append(error)


def test_a_defect_in_a_round_is_reported_and_does_not_end_the_thread(
    database: TestDatabase, publisher: Publisher, topic: Topic, caplog: pytest.LogCaptureFixture
) -> None:
    counted = metrics.PUBLISHER_FAILURES.labels("link")
    before, reports, broken = counted.value, CollectedErrors(), Broken(publisher)
    add_event(database)
    thread = PublisherThread(cast(Publisher, broken), "link", cast(Reports, reports))
    thread.start()
    assert poll_until(lambda: bool(thread.fault) or not waiting(database), PATIENCE)
    topic.read(1)
    assert poll_until(lambda: thread.fault == "", PATIENCE)
    thread.stop(1.0)
    thread.thread.join(PATIENCE)
    assert not thread.thread.is_alive()
    assert [type(error) for error in reports.errors] == [UnicodeDecodeError] * 2
    assert counted.value == before + 2
    names = [record.message for record in caplog.records if record.levelname == "ERROR"]
    assert names.count("publish_crashed") == 2


def test_a_stop_does_not_wait_for_a_broker_that_is_frozen(
    database: TestDatabase, make: Make, kafka_server: KafkaServer
) -> None:
    topic = f"test.publisher.{uuid.uuid4().hex}"
    kafka_server.create_topic(topic)
    publisher = make(kafka_server.address)
    add_event(database, topic=topic)
    assert poll_until(lambda: drain(publisher).published == 1, PATIENCE)
    add_event(database, topic=topic)
    thread = PublisherThread(publisher, "link")
    kafka_server.freeze()
    try:
        thread.start()
        assert poll_until(lambda: is_publishing(database), PATIENCE)
        thread.stop(0.5)
        thread.thread.join(15)
        assert not thread.thread.is_alive()
    finally:
        kafka_server.thaw()
    assert len(waiting(database)) == 1


def is_publishing(database: TestDatabase) -> bool:
    """Whether some publisher holds the lock of the service link."""
    locks = (
        "SELECT 1 AS one FROM pg_locks WHERE locktype = 'advisory'"
        " AND (classid::bigint << 32) + objid::bigint = hashtextextended('toast-outbox/link', 0)"
    )
    return bool(database.query(locks))
