"""Workers as real processes: cadence, signals, outages, and what reaches the topic."""

import itertools
import json
import re
import signal
import time
import uuid
from collections import defaultdict
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from common import exit_codes
from common.worker.worker_process import SUPERVISE_SECONDS
from devservers.child_processes import PATIENCE, free_port, poll_until
from devservers.kafka import KafkaServer
from devservers.tcp_proxy import TcpProxy
from testing.database import TestDatabase
from testing.processes import Process, environment
from testing.topics import Topic
from tests.support.expired_links import EXPIRED, insert_expired, slow_down
from tests.support.outbox_rows import add_event
from tests.support.probes import steadiness
from tests.support.row_faults import refusal
from workers.link import link_expiration

pytestmark = pytest.mark.usefixtures("only_link_expiration")

TOPIC = "link.expired"
NOT_YET = datetime(2999, 1, 1, tzinfo=UTC)

# Ids of links, each with its partition of three: test_kafka.py works them out by hand.
PARTITIONS = {
    "00000000-0000-4000-8000-000000000002": 1,
    "00000000-0000-4000-8000-000000000003": 0,
    "00000000-0000-4000-8000-00000000000b": 1,
    "66666666-6666-4666-8666-666666666666": 1,
    "eeeeeeee-eeee-4eee-8eee-eeeeeeeeeeee": 2,
}

RUNS = "SELECT * FROM toast_runs ORDER BY started_at"


# A batch of links waits, once others are switched off, until no session holds the lock. It polls,
# because waiting for a lock has a time limit.
GATE = """
CREATE FUNCTION gate() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN
    IF EXISTS (SELECT FROM link_links WHERE NOT is_active) THEN
        WHILE NOT pg_try_advisory_xact_lock_shared(1) LOOP PERFORM pg_sleep(0.02); END LOOP;
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER gate BEFORE UPDATE ON link_links FOR EACH STATEMENT EXECUTE FUNCTION gate()
"""


def add_link(database: TestDatabase, **columns: object) -> str:
    """Add a link that has expired; its id."""
    return str(database.insert("link_links", **{"expires_at": EXPIRED, **columns})["id"])


def still_active(database: TestDatabase) -> set[str]:
    return {str(row["id"]) for row in database.query("SELECT id FROM link_links WHERE is_active")}


def waiting(database: TestDatabase) -> int:
    return len(database.query("SELECT id FROM toast_outbox"))


def runs(database: TestDatabase, scheduler: str = "link-expiration") -> list[dict[str, Any]]:
    """The passes of a scheduler that have ended."""
    rows = database.query(RUNS)
    return [row for row in rows if row["scheduler"] == scheduler and row["result"]]


def assert_no_hole(worker: Process, database: TestDatabase) -> None:
    """What failed in the history did fail, and the first and last pass of each outage are there.

    For workers that log at debug: only there has every pass a line, however fast they follow.
    """
    ended = [json.loads(line) for line in worker.log.splitlines() if '"event": "pass_f' in line]
    outages = [
        [record["run_id"] for record in group]
        for event, group in itertools.groupby(ended, lambda record: str(record["event"]))
        if event == "pass_failed"
    ]
    recorded = {str(run["id"]) for run in runs(database) if run["result"] == "failed"}
    assert recorded <= set(itertools.chain.from_iterable(outages))
    assert recorded >= {outage[place] for outage in outages for place in (0, -1)}


def wait_until(done: Any, what: str) -> None:
    assert poll_until(done, PATIENCE), what


# --- the message ------------------------------------------------------------------------------


def test_the_message_on_the_topic(database: TestDatabase, kafka: str) -> None:
    arrived = Topic(kafka, TOPIC)
    for number in PARTITIONS:
        add_link(database, id=uuid.UUID(number), short_code=number[:2] + number[-2:])
    bystanders = {add_link(database, expires_at=NOT_YET), add_link(database, expires_at=None)}
    [before] = database.query("SELECT clock_timestamp() AS now")

    with Process("workers.link", env=environment(database, kafka)) as worker:
        worker.wait_for("events_published", published=5)
        assert worker.stop() == 0

    messages = arrived.read(5)
    assert {message.key: message.partition for message in messages} == PARTITIONS
    assert still_active(database) == bystanders
    for message in messages:
        value, headers = message.json, dict(message.headers)
        fields = value["data"]
        assert fields.keys() == link_expiration.EXPIRED.fields.keys()
        assert fields["link_id"] == message.key
        assert fields["short_code"] == message.key[:2] + message.key[-2:]
        assert fields["expires_at"] == "2026-01-02T03:04:05.000000Z"
        event_id, timestamp = value["id"], value["timestamp"]
        assert value == {
            **fields,
            "id": event_id,
            "type": "link.expired",
            "source": "link-service",
            "timestamp": timestamp,
            "data": fields,
        }
        assert str(uuid.UUID(event_id)) == event_id
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", timestamp)
        happened = datetime.fromisoformat(timestamp) - before["now"]
        assert timedelta() < happened < timedelta(minutes=1)
        assert headers == {
            "event_type": "link.expired",
            "timestamp": timestamp,
            "ce_id": event_id,
            "ce_source": "link-service",
            "ce_type": "link.expired",
            "ce_time": timestamp,
            "ce_specversion": "1.0",
            "content-type": "application/json",
        }
    assert len({message.json["id"] for message in messages}) == 5
    assert arrived.partitions() == 3


# --- Kafka away -------------------------------------------------------------------------------


def test_kafka_stops_and_comes_back(database: TestDatabase, kafka_server: KafkaServer) -> None:
    arrived = Topic(kafka_server.address, TOPIC)
    env = environment(database, kafka_server.address, LINK_EXPIRATION_INTERVAL="200ms")
    with Process("workers.link", env=env) as worker:
        first = add_link(database)
        worker.wait_for("events_published")
        kafka_server.stop()
        try:
            for number in range(5):
                add_event(database, key="a key", payload=str(number))
            later = [add_link(database) for _ in range(20)]
            wait_until(lambda: not still_active(database), "rows must change without Kafka")
            assert waiting(database) == 25
        finally:
            kafka_server.start()
        wait_until(lambda: not waiting(database), "events must go out when Kafka is back")
        assert worker.stop() == 0

    messages = arrived.read(26)
    by_key = defaultdict(list)
    for message in messages:
        by_key[message.key].append(message.value)
    assert by_key.pop("a key") == [b"0", b"1", b"2", b"3", b"4"]
    assert by_key.keys() == {first, *later}  # once each, as there are 26


def test_kafka_that_is_not_there_yet_is_waited_for_and_then_forgotten(
    database: TestDatabase, mock_broker: str
) -> None:
    arrived = Topic(mock_broker, TOPIC)
    port = free_port()
    links = {add_link(database) for _ in range(3)}
    with Process("workers.link", env=environment(database, f"127.0.0.1:{port}")) as worker:
        worker.wait_for("pass_finished", processed=3, events=3)
        outage = worker.wait_for("publish_failed")
        assert outage["left"] == 3
        assert f"{port}" in outage["reason"]
        assert "Connection refused" in outage["reason"]
        untouched = {"tries": 0, "retry_at": None, "error": ""}
        assert database.query("SELECT tries, retry_at, error FROM toast_outbox") == [untouched] * 3
        with TcpProxy(int(mock_broker.rpartition(":")[2]), port):
            worker.wait_for("events_published", published=3)

            add_event(database, key="large", payload="x" * 1_100_000)
            links.add(add_link(database))
            worker.send(signal.SIGUSR1)
            refused = "SELECT error FROM toast_outbox WHERE tries = 1"
            wait_until(lambda: bool(database.query(refused)), "the large event must be refused")
    [row] = database.query(refused)
    assert "Message size too large" in row["error"]
    assert "Connection refused" not in row["error"]  # that was another matter
    assert {message.key for message in arrived.read(4)} == links


# --- PostgreSQL away --------------------------------------------------------------------------


def test_postgresql_comes_late_and_is_restarted(
    private_database: TestDatabase, mock_broker: str
) -> None:
    database, server = private_database, private_database.server
    arrived = Topic(mock_broker, TOPIC)
    first = add_link(database)
    server.stop()

    settings = {"LINK_EXPIRATION_INTERVAL": "200ms", "LOG_LEVEL": "debug"}
    with Process("workers.link", env=environment(database, mock_broker, **settings)) as worker:
        worker.wait_for("pass_failed")
        server.start()
        worker.wait_for("pass_finished", processed=1)
        worker.wait_for("events_published")

        failed = len(worker.records("pass_failed"))
        server.stop("immediate")
        worker.wait_for("pass_failed", count=failed + 1)
        server.start()
        second = add_link(database)
        worker.wait_for("pass_finished", processed=1, count=2)
        worker.wait_for("events_published", count=2)
        assert worker.stop() == 0

    assert {message.key for message in arrived.read(2)} == {first, second}
    assert_no_hole(worker, database)
    failures = [run["error"] for run in runs(database) if run["result"] == "failed"]
    assert all("connection" in error for error in failures)


# --- the loop ---------------------------------------------------------------------------------


STAYS_DUE = """
CREATE FUNCTION stay() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN NEW.is_active := true; RETURN NEW; END $$;
CREATE TRIGGER stay BEFORE UPDATE ON link_links FOR EACH ROW EXECUTE FUNCTION stay()"""


@pytest.mark.parametrize(
    ("takes", "passes"), [(0.6, 6), (3.0, 3)], ids=["half an interval", "two and a half"]
)
def test_passes_keep_to_multiples_of_the_interval_and_never_overlap(
    database: TestDatabase, mock_broker: str, takes: float, passes: int
) -> None:
    insert_expired(database, 1)
    database.query(STAYS_DUE)  # a pass that finds nothing due changes nothing
    slow_down(database, "link_links", takes)
    often = {"LINK_EXPIRATION_INTERVAL": "1200ms", "TOAST_PUNCTUAL": "false", "LOG_LEVEL": "debug"}
    env = environment(database, mock_broker, **often)
    with Process("workers.link", env=env) as worker:
        worker.wait_for("pass_finished", count=passes)
        assert worker.stop() == 0

    passed = [run for run in runs(database) if run["result"] == "ok"]
    assert all((run["finished_at"] - run["started_at"]).total_seconds() >= takes for run in passed)
    # Counted from the end of each pass, or with ticks made up for, it would be below a half.
    assert steadiness([run["started_at"].timestamp() for run in passed], 1.2) > 0.55
    # By their order in the log, not by clocks: one pass at a time.
    steps = re.findall(r'"event": "pass_(started|finished)"', worker.log)
    assert steps == ["started", "finished"] * (len(steps) // 2)


def test_a_failed_pass_is_tried_again_long_before_its_interval(
    database: TestDatabase, mock_broker: str
) -> None:
    link = add_link(database)
    database.query("ALTER TABLE link_links RENAME TO elsewhere")
    with Process("workers.link", env=environment(database, mock_broker)) as worker:
        worker.wait_for("pass_failed")
        database.query("ALTER TABLE elsewhere RENAME TO link_links")
        worker.wait_for("pass_finished", processed=1)  # the interval is an hour
        assert worker.stop() == 0
    assert link not in still_active(database)


def test_a_failing_scheduler_does_not_delay_its_sibling(database: TestDatabase) -> None:
    database.query("DROP TABLE twitchbot_messages")  # which only the clean-up needs
    old = EXPIRED - timedelta(days=365)
    stream = database.insert("twitchbot_streams", is_active=True, updated_at=old)["id"]
    env = environment(database, MESSAGE_CLEANUP_INTERVAL="200ms", STREAM_CLOSER_INTERVAL="200ms")
    with Process("workers.twitchbot", env=env) as worker:
        worker.wait_for("pass_failed", scheduler="message-cleanup", count=3)
        worker.wait_for("pass_finished", scheduler="stream-closer", count=5)
        assert worker.stop() == 0
        assert worker.records("pass_failed", scheduler="stream-closer") == []
    assert database.query("SELECT is_active FROM twitchbot_streams WHERE id = %s", stream) == [
        {"is_active": False}
    ]
    assert "twitchbot_messages" in runs(database, "message-cleanup")[0]["error"]


def test_sigusr1_runs_every_scheduler_now(database: TestDatabase) -> None:
    with Process("workers.twitchbot", env=environment(database)) as worker:
        for passes in (1, 2, 3):
            for scheduler in ("message-cleanup", "stream-closer"):
                worker.wait_for("pass_finished", scheduler=scheduler, count=passes)
            worker.send(signal.SIGUSR1)
        worker.wait_for("run_now_requested", count=3)
        assert worker.stop() == 0


# --- the stop ---------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_stops_an_idle_worker(database: TestDatabase, number: signal.Signals) -> None:
    with Process("workers.link", env=environment(database)) as worker:
        worker.wait_for("pass_finished")
        assert worker.stop(number) == 0
        assert worker.records("stop_requested", signal=number.name)
        assert worker.records("scheduler_stopped", scheduler="link-expiration")
        assert worker.records("worker_stopped", exit_code=0)


def test_a_worker_that_was_paused_for_longer_than_it_waits_goes_on(database: TestDatabase) -> None:
    with Process("workers.twitchbot", env=environment(database)) as worker:
        worker.wait_for("pass_finished", scheduler="stream-closer")
        worker.send(signal.SIGSTOP)
        time.sleep(SUPERVISE_SECONDS + 0.5)
        worker.send(signal.SIGCONT)
        assert not poll_until(lambda: worker.ended is not None, 0.5)
        assert worker.stop() == 0
    assert worker.records("exception_uncaught") == []


def test_a_worker_whose_thread_died_ends_so_that_it_is_started_again(
    database: TestDatabase,
) -> None:
    with Process("tests.common.worker.doomed_worker", env=environment(database)) as worker:
        assert worker.exit_code() == exit_codes.BUG
    died = {record["thread"] for record in worker.records("exception_uncaught")}
    assert died == {"message-cleanup", "stream-closer"}


def test_a_stop_breaks_what_blocks_a_worker(database: TestDatabase, mock_broker: str) -> None:
    """One pass waits for a lock, one for an answer that never comes, and so does the publisher."""
    item = database.insert("foodfolio_item_details", expiry_date=EXPIRED)
    add_event(database, service="foodfolio", topic="foodfolio.detail.expired")
    blocked = (
        "SELECT 1 FROM pg_locks WHERE NOT granted AND relation = 'foodfolio_item_details'::regclass"
    )
    with TcpProxy(database.server.port) as proxy, database.connect(autocommit=False) as holder:
        holder.execute("LOCK TABLE foodfolio_item_details")
        pass_hangs = proxy.hang_at(b"foodfolio_item_variants")
        publisher_hangs = proxy.hang_at(b"DELETE FROM toast_outbox")
        env = environment(database, mock_broker, DB_PORT=str(proxy.port))
        with Process("workers.foodfolio", env=env) as worker:
            wait_until(pass_hangs.is_set, "a pass must wait for an answer")
            wait_until(publisher_hangs.is_set, "the publisher must wait for an answer")
            wait_until(lambda: bool(database.query(blocked)), "a pass must wait for the lock")
            assert worker.stop() == 0
            assert worker.records("pass_finished") == []
            assert worker.records("pass_failed", scheduler="item-expiration")
            assert worker.records("pass_failed", scheduler="stock-level")
        holder.rollback()
    assert database.query("SELECT * FROM foodfolio_item_details") == [item]


def test_a_stop_in_the_middle_of_many_rows_loses_nothing(
    database: TestDatabase, mock_broker: str
) -> None:
    arrived = Topic(mock_broker, TOPIC)
    insert_expired(database, 25_000)
    database.query(GATE)
    env = environment(database, mock_broker)

    with Process("workers.link", env=env) as worker, database.connect() as gate:
        gate.execute("SELECT pg_advisory_lock(1)")
        waits = "SELECT FROM pg_stat_activity WHERE wait_event = 'PgSleep'"
        wait_until(lambda: gate.execute(waits).fetchone() is not None, "no second batch came")
        worker.send(signal.SIGTERM)
        worker.wait_for("stop_requested")
        gate.execute("SELECT pg_advisory_unlock(1)")
        assert worker.exit_code() == 0

    changed = 25_000 - len(still_active(database))
    assert 0 < changed < 25_000
    [run] = runs(database)
    assert (run["result"], run["counts"]["processed"]) == ("stopped", changed)
    assert arrived.count() + waiting(database) == changed

    database.query("DROP TRIGGER gate ON link_links")
    with Process("workers.link", env=env) as worker:
        worker.wait_for("pass_finished", result="ok", processed=25_000 - changed)
        wait_until(lambda: not waiting(database), "the rest must be published")
        assert worker.stop() == 0
    links = {str(row["id"]) for row in database.query("SELECT id FROM link_links")}
    assert {message.key for message in arrived.read(25_000)} == links


# --- connections that are lost ----------------------------------------------------------------


def test_events_of_a_change_whose_reply_was_lost_go_out_with_the_next_pass(
    database: TestDatabase, mock_broker: str
) -> None:
    arrived = Topic(mock_broker, TOPIC)
    with TcpProxy(database.server.port) as proxy:
        settings = {"DB_PORT": str(proxy.port), "LINK_EXPIRATION_INTERVAL": "200ms"}
        with Process("workers.link", env=environment(database, mock_broker, **settings)) as worker:
            worker.wait_for("pass_finished")
            lost = proxy.lose_answer_to(b"UPDATE link_links")
            link = add_link(database)
            assert lost.wait(PATIENCE)
            [message] = arrived.read(1)
            assert worker.stop() == 0

    assert message.key == link
    assert not waiting(database)


def test_a_pass_whose_connection_hangs_does_not_delay_its_sibling(database: TestDatabase) -> None:
    database.insert("twitchbot_messages", created_at=EXPIRED - timedelta(days=365))
    with TcpProxy(database.server.port) as proxy:
        hangs = proxy.hang_at(b"DELETE FROM twitchbot_messages")
        env = environment(database, STREAM_CLOSER_INTERVAL="200ms", DB_PORT=str(proxy.port))
        with Process("workers.twitchbot", env=env) as worker:
            wait_until(hangs.is_set, "the clean-up must have begun")
            passes = len(worker.records("pass_finished", scheduler="stream-closer"))
            worker.wait_for("pass_finished", scheduler="stream-closer", count=passes + 5)
            assert worker.records("pass_finished", scheduler="message-cleanup") == []


def test_a_publisher_whose_connection_hangs_does_not_delay_passes(
    database: TestDatabase, mock_broker: str
) -> None:
    with TcpProxy(database.server.port) as proxy:
        hangs = proxy.hang_at(b"DELETE FROM toast_outbox")
        env = environment(
            database, mock_broker, LINK_EXPIRATION_INTERVAL="200ms", DB_PORT=str(proxy.port)
        )
        with Process("workers.link", env=env):
            add_link(database)
            wait_until(hangs.is_set, "the publisher must be at it")
            add_link(database)
            wait_until(lambda: not still_active(database), "passes must go on")


def test_connections_that_are_cut_are_opened_again(
    database: TestDatabase, mock_broker: str
) -> None:
    arrived = Topic(mock_broker, TOPIC)
    with TcpProxy(database.server.port) as proxy:
        env = environment(
            database,
            mock_broker,
            LINK_EXPIRATION_INTERVAL="200ms",
            DB_PORT=str(proxy.port),
            LOG_LEVEL="debug",
        )
        with Process("workers.link", env=env) as worker:
            for count in (1, 2):
                cut = proxy.cut_at(b"UPDATE link_links")
                add_link(database)
                wait_until(cut.is_set, "a pass must have lost its connection")
                proxy.cut()
                arrived.read(count)
            worker.wait_for("pass_failed", count=2)
            assert worker.stop() == 0
    assert_no_hole(worker, database)


# --- many events, several workers -------------------------------------------------------------


def test_a_backlog_is_published_in_flat_memory(database: TestDatabase, mock_broker: str) -> None:
    insert = (
        "INSERT INTO toast_outbox (service, topic, key, event_id, occurred_at, payload)"
        " SELECT 'link', 'link.expired', n, gen_random_uuid(), now(), repeat('x', 2000)"
        " FROM generate_series(1, %s) AS n"
    )
    arrived = Topic(mock_broker, TOPIC)
    database.query(insert, 4_000)
    with Process("workers.link", env=environment(database, mock_broker)) as worker:
        wait_until(lambda: not waiting(database), "4,000 events must be published")
        before = worker.peak_memory
        database.query(insert, 20_000)
        add_link(database)  # whose event wakes the publisher
        worker.send(signal.SIGUSR1)
        wait_until(lambda: not waiting(database), "20,000 events must be published")
        assert arrived.count() == 24_001
        assert worker.peak_memory - before < 20  # MiB; all at once would be 80 or more
        assert worker.stop() == 0


def test_two_workers_keep_the_order_of_a_key(database: TestDatabase, mock_broker: str) -> None:
    arrived = Topic(mock_broker, TOPIC)
    keys = ("a", "b", "c")
    for number in range(20):
        for key in keys:
            add_event(database, key=key, payload=str(number))
    env = environment(database, mock_broker, LINK_EXPIRATION_INTERVAL="100ms")
    with Process("workers.link", env=env) as one, Process("workers.link", env=env) as other:
        for number in range(20, 40):
            for key in keys:
                add_event(database, key=key, payload=str(number))
            add_link(database)
        wait_until(lambda: not waiting(database), "every event must be published")
        wait_until(lambda: not still_active(database), "every link must be expired")
        wait_until(lambda: not waiting(database), "every event must be published")
        assert (one.stop(), other.stop()) == (0, 0)

    by_key = defaultdict(list)
    for message in arrived.read(140):
        by_key[message.key].append(message.value.decode())
    for key in keys:
        assert by_key[key] == [str(number) for number in range(40)]


# --- settings and the log ---------------------------------------------------------------------


def test_every_fault_of_the_settings_is_reported_at_once(database: TestDatabase) -> None:
    env = environment(
        database,
        "localhost",
        DB_PORT="five",
        LOG_LEVEL="loud",
        LINK_EXPIRATION_INTERVAL="1 hour",
        LINK_EXPIRATION_ENABLED="yes",
    )
    with Process("workers.link", env=env) as worker:
        assert worker.exit_code() == 78
    faults = worker.log.splitlines()
    assert [fault.split()[0] for fault in faults] == [
        "DB_PORT",
        "KAFKA_BROKERS",
        "LOG_LEVEL",
        "LINK_EXPIRATION_ENABLED",
        "LINK_EXPIRATION_INTERVAL",
    ]
    for fault, found in zip(faults, ("five", "localhost", "loud", "yes", "1 hour"), strict=True):
        assert f"'{found}'" in fault
        assert "; expected " in fault


def test_a_worker_logs_what_it_does(database: TestDatabase, mock_broker: str) -> None:
    link = add_link(database)
    env = environment(database, mock_broker, LINK_EXPIRATION_INTERVALL="5m", LOG_LEVEL="debug")
    with Process("workers.link", env=env) as worker:
        finished = worker.wait_for("pass_finished")
        worker.wait_for("events_published", published=1)
        assert worker.stop() == 0

    [started] = worker.records("worker_started")
    assert (started["process"], started["schedulers"]) == (worker.pid, "link-expiration")
    [warning] = worker.records("setting_questioned")
    assert "did you mean LINK_EXPIRATION_INTERVAL?" in warning["reason"]
    [begun] = worker.records("pass_started")
    [run] = runs(database)
    assert begun["run_id"] == finished["run_id"] == str(run["id"])
    assert (finished["service"], finished["scheduler"]) == ("link", "link-expiration")
    assert (finished["result"], finished["processed"], finished["events"]) == ("ok", 1, 1)
    assert link not in worker.log  # counts, not rows


def test_a_scheduler_that_is_switched_off_does_not_run(database: TestDatabase) -> None:
    env = environment(database, MESSAGE_CLEANUP_ENABLED="false", STREAM_CLOSER_INTERVAL="100ms")
    with Process("workers.twitchbot", env=env) as worker:
        worker.wait_for("pass_finished", scheduler="stream-closer", count=3)
        worker.send(signal.SIGUSR1)
        worker.wait_for("run_now_requested")
        assert worker.stop() == 0
        assert worker.records("scheduler_started", scheduler="message-cleanup") == []
    assert runs(database, "message-cleanup") == []


def test_a_worker_with_nothing_to_do_waits_for_its_stop(database: TestDatabase) -> None:
    env = environment(database, LINK_EXPIRATION_ENABLED="false")
    with Process("workers.link", env=env) as worker:
        worker.wait_for("worker_started", schedulers="")
        worker.send(signal.SIGUSR1)
        worker.wait_for("run_now_requested")
        assert worker.stop() == 0


def test_the_password_is_in_no_log_and_no_history(database: TestDatabase) -> None:
    password = database.server.password
    # Of a class of errors that no single row can be at fault for.
    message = f"host=db password={password} and {password}"
    database.query(refusal("UPDATE ON link_links", message=message, sqlstate="58000"))
    add_link(database)
    with Process("workers.link", env=environment(database, LOG_LEVEL="debug")) as worker:
        failed = worker.wait_for("pass_failed")
        wait_until(lambda: bool(runs(database)), "the failed pass must be recorded")
        assert worker.stop() == 0
    assert "password=*** and ***" in failed["error"]
    assert "Traceback" in failed["traceback"]
    assert "password=*** and ***" in runs(database)[0]["error"]
    assert password not in worker.log
    assert password not in str(database.query(RUNS))
