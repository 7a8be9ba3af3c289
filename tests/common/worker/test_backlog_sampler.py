"""Counting what waits, after scrapes: right, once a minute, bounded, and never outdated."""

import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import partial

import psycopg
import pytest

from common import config, metrics
from common.database.connection import Database
from common.events import outbox
from common.scheduling.pass_runner import PassRunner
from common.worker import backlog_sampler
from common.worker.backlog_sampler import BacklogSampler
from devservers.child_processes import PATIENCE, free_port, poll_until
from devservers.tcp_proxy import TcpProxy
from testing.database import TestDatabase
from testing.processes import Process, environment
from tests.support.expired_links import EXPIRED
from tests.support.outbox_rows import add_event
from tests.support.scrapes import Scrape, scrape, scrape_until
from workers.foodfolio import SERVICE

BACKLOG = "toast_backlog_rows"
WAITING = "toast_outbox_waiting_events"


def counted(scraped: Scrape) -> bool:
    return scraped.value(WAITING) is not None


def sessions(database: TestDatabase) -> int:
    """How many sessions this database had; this query is not counted."""
    query = "SELECT sessions FROM pg_stat_database WHERE datname = %s"
    with psycopg.connect(**database.server.connection()) as connection:
        row = connection.execute(query, (database.name,)).fetchone()
    assert row is not None
    return int(row[0])


# --- real workers -----------------------------------------------------------------------------


@pytest.mark.usefixtures("only_link_expiration")
def test_what_waits_is_counted(database: TestDatabase, port: int) -> None:
    with Process("workers.link", env=environment(database, METRICS_PORT=str(port))) as worker:
        worker.wait_for("pass_finished")
        for _ in range(7):
            database.insert("link_links", expires_at=EXPIRED)
        database.insert("link_links")
        now = datetime.now(UTC)
        for minutes in (100, 30, 0):
            add_event(database, occurred_at=now - timedelta(minutes=minutes))
        add_event(database, occurred_at=now - timedelta(days=9), service="blog")
        for service, count in (("link", 2), ("blog", 1)):
            set_aside(database, service, count)
        for scheduler, count in (("link-expiration", 3), ("post-publisher", 1)):
            fail_rows(database, scheduler, count)

        scraped = scrape_until(port, counted)

    assert scraped.values(BACKLOG, "scheduler") == {"link-expiration": 7}
    assert scraped.values("toast_failed_rows", "scheduler") == {"link-expiration": 3}
    assert scraped.values(WAITING, "service") == {"link": 3}
    age = scraped.value("toast_outbox_oldest_event_age_seconds", service="link")
    assert age == pytest.approx(6000, abs=60)
    assert scraped.values("toast_outbox_set_aside_events", "service") == {"link": 2}


@pytest.mark.usefixtures("only_link_expiration")
def test_without_work_every_count_is_0(database: TestDatabase, port: int) -> None:
    with Process("workers.link", env=environment(database, METRICS_PORT=str(port))) as worker:
        worker.wait_for("metrics_port_opened")
        scraped = scrape_until(port, counted)
    names = (BACKLOG, "toast_failed_rows", WAITING, "toast_outbox_oldest_event_age_seconds")
    assert [scraped.value(name) for name in names] == [0, 0, 0, 0]


def test_notifications_that_wait_are_counted_by_the_live_name_too(
    database: TestDatabase, port: int
) -> None:
    channel = database.insert("notification_channels", active=True)["id"]
    for attempts in (1, 2, 3):  # the third has had all its attempts
        columns = {"channel_id": channel, "status": "failed", "attempt_count": attempts}
        database.insert("notification_notifications", **columns)
    with database.connect() as other:  # which keeps this machine's passes from sending them
        other.execute(
            "SELECT pg_advisory_lock(hashtextextended('toast-pass/notification-retry', 0))"
        )
        env = environment(database, METRICS_PORT=str(port))
        with Process("workers.notification", env=env) as worker:
            worker.wait_for("pass_finished", result="skipped")
            scraped = scrape_until(port, counted)
    assert scraped.values("notification_retry_queue_size", "service") == {"notification": 2}
    assert scraped.value(BACKLOG, scheduler="notification-retry") == 2


def test_it_is_counted_once_a_minute_however_often_it_is_scraped(
    database: TestDatabase, port: int
) -> None:
    env = environment(database, METRICS_PORT=str(port))
    with Process("workers.twitchbot", env=env) as worker:
        worker.wait_for("pass_finished", count=2)
        worker.wait_for("metrics_port_opened")
        before = sessions(database)
        scrape_until(port, counted)
        assert poll_until(lambda: sessions(database) > before, PATIENCE)
        before = sessions(database)
        add_event(database, service="twitchbot")
        for _ in range(10):
            assert scrape(port).value(WAITING) == 0
            time.sleep(0.1)
        assert sessions(database) == before + 1  # the one that added the event


def test_a_scrape_does_not_wait_for_the_database(database: TestDatabase, port: int) -> None:
    with TcpProxy(database.server.port) as proxy:
        env = environment(database, DB_PORT=str(proxy.port), METRICS_PORT=str(port))
        with Process("workers.twitchbot", env=env) as worker:
            worker.wait_for("pass_finished", count=2)
            worker.wait_for("metrics_port_opened")
            hangs = proxy.hang_at(b"default_transaction_read_only")
            began = time.monotonic()
            for number in range(5):
                assert not counted(scrape(port))
                if not number:
                    assert hangs.wait(PATIENCE)
            # What it would have waited for each time.
            assert time.monotonic() - began < backlog_sampler.SAMPLE_SECONDS
            assert worker.stop() == 0


# --- one sampler, scraped as often as it takes ------------------------------------------------


@pytest.fixture
def _no_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    """Counting anew is due with each scrape."""
    monkeypatch.setattr(backlog_sampler, "LEAST_SECONDS", 0.0)
    monkeypatch.setattr(backlog_sampler, "MOST_SHARE", 1e9)


@pytest.fixture
def _nothing_left_behind() -> Iterator[None]:
    yield
    for scheduler in SERVICE.schedulers:
        metrics.BACKLOG.remove(SERVICE.name, scheduler.name)
        metrics.FAILED_ROWS.remove(SERVICE.name, scheduler.name)
    metrics.OUTBOX_WAITING.remove(SERVICE.name)


pytestmark = pytest.mark.usefixtures("_nothing_left_behind")


def sampler(
    database: TestDatabase, monkeypatch: pytest.MonkeyPatch, door: int | None = None
) -> BacklogSampler:
    """foodfolio's, by way of this port."""
    values = {**database.environment, "DB_PORT": str(door or database.server.port)}
    for name, value in values.items():
        monkeypatch.setenv(name, value)
    settings = config.load(SERVICE.name, SERVICE.variables)
    connections = Database(settings)
    runners = [PassRunner(scheduler, settings, connections) for scheduler in SERVICE.schedulers]
    return BacklogSampler(SERVICE.name, connections, runners)


def sampled(one: BacklogSampler) -> dict[str, float | None]:
    """What is known of foodfolio after one more scrape, and the counting that it has begun."""
    one.sample_if_due()
    for thread in threading.enumerate():
        if thread.name == "sampler":
            thread.join(PATIENCE)
            assert not thread.is_alive()
    value = partial(Scrape(metrics.exposition()).value, service="foodfolio")
    return {
        "expiring": value(BACKLOG, scheduler="item-expiration"),
        "running out": value(BACKLOG, scheduler="stock-level"),
        "waiting": value(WAITING),
    }


def lost_connections() -> float:
    scraped = Scrape(metrics.exposition())
    labels = {"service": "foodfolio", "kind": "connection"}
    return scraped.value("toast_database_errors_total", **labels) or 0


NOTHING_KNOWN = {"expiring": None, "running out": None, "waiting": None}


@pytest.mark.usefixtures("_no_rest")
def test_what_cannot_be_asked_is_not_there_rather_than_as_it_was(
    database: TestDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = lost_connections()
    door = free_port()
    one = sampler(database, monkeypatch, door)
    database.insert("foodfolio_item_details", expiry_date=EXPIRED)
    with TcpProxy(database.server.port, door):
        known = sampled(one)
        assert known == {"expiring": 1, "running out": known["running out"], "waiting": 0}
        assert known["running out"] is not None
    assert sampled(one) == NOTHING_KNOWN
    assert lost_connections() == before + 1
    with TcpProxy(database.server.port, door):
        assert sampled(one) == known


@pytest.mark.usefixtures("_no_rest")
def test_a_server_that_answers_nothing_is_given_up(
    database: TestDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backlog_sampler, "SAMPLE_SECONDS", 1.0)
    with TcpProxy(database.server.port) as proxy:
        one = sampler(database, monkeypatch, proxy.port)
        known = sampled(one)
        hangs = proxy.hang_at(b"toast_outbox")
        before = lost_connections()
        assert sampled(one) == NOTHING_KNOWN
        assert hangs.is_set()
        assert lost_connections() == before + 1
        assert sampled(one) == known


@pytest.mark.usefixtures("_no_rest")
def test_a_count_that_takes_too_long_is_left_out_and_the_others_stay(
    database: TestDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = sampler(database, monkeypatch)
    known = sampled(one)
    with database.connect(autocommit=False) as holder:
        holder.execute("LOCK TABLE foodfolio_item_variants")
        add_event(database, service="foodfolio")
        began = time.monotonic()
        assert sampled(one) == {**known, "running out": None, "waiting": 1}
        assert time.monotonic() - began >= 2
    assert sampled(one) == {**known, "waiting": 1}


@pytest.mark.usefixtures("_no_rest")
def test_a_count_that_fails_is_left_out_and_the_others_stay(
    database: TestDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = sampler(database, monkeypatch)
    known = sampled(one)
    database.query("ALTER TABLE foodfolio_item_variants RENAME TO elsewhere")
    add_event(database, service="foodfolio")
    assert sampled(one) == {**known, "running out": None, "waiting": 1}


def test_after_a_long_count_it_rests_for_long(
    database: TestDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not for two seconds in each minute, but for 1 % of the time."""
    monkeypatch.setattr(backlog_sampler, "LEAST_SECONDS", 1.0)
    one = sampler(database, monkeypatch)
    with database.connect(autocommit=False) as holder:
        holder.execute("LOCK TABLE foodfolio_item_variants")
        known = sampled(one)
    add_event(database, service="foodfolio")
    time.sleep(1.2)
    assert sampled(one) == known
    assert backlog_sampler.MOST_SHARE == 0.01


@pytest.mark.usefixtures("_no_rest")
def test_a_big_backlog_is_not_counted_to_its_end(
    database: TestDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backlog_sampler, "MOST_ROWS", 3)
    monkeypatch.setattr(backlog_sampler, "MOST_EVENTS", 2)
    for _ in range(4):
        database.insert("foodfolio_item_details", expiry_date=EXPIRED)
        add_event(database, service="foodfolio")
    known = sampled(sampler(database, monkeypatch))
    assert (known["expiring"], known["waiting"]) == (3, 2)


@pytest.mark.usefixtures("_no_rest")
def test_a_defect_while_counting_is_logged_and_counting_goes_on(
    database: TestDatabase, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def break_down(*arguments: object) -> None:
        raise ValueError("no code expects it")

    one = sampler(database, monkeypatch)
    with monkeypatch.context() as patch:
        patch.setattr(outbox, "of_service", break_down)
        assert sampled(one)["waiting"] is None
    errors = [each.message for each in caplog.records if each.levelname == "ERROR"]
    assert errors == ["backlog_sampling_failed"]
    add_event(database, service="foodfolio")
    assert sampled(one)["waiting"] == 1


def test_the_limits_of_counting_are_the_documented_ones() -> None:
    assert (
        backlog_sampler.LEAST_SECONDS,
        backlog_sampler.MOST_ROWS,
        backlog_sampler.MOST_EVENTS,
    ) == (60, 10_000, 100_000)


# --- rows -------------------------------------------------------------------------------------


def set_aside(database: TestDatabase, service: str, count: int) -> None:
    """Events that the broker refused for good."""
    database.query(
        "INSERT INTO toast_outbox_set_aside (id, service, topic, key, event_id, occurred_at,"
        " payload, tries, error, set_aside_at)"
        " SELECT nextval(pg_get_serial_sequence('toast_outbox', 'id')), %s, 't', 'k',"
        " gen_random_uuid(), now(), '{}', 5, 'too large', now() FROM generate_series(1, %s)",
        service,
        count,
    )


def fail_rows(database: TestDatabase, scheduler: str, count: int) -> None:
    """Rows that could not be changed."""
    database.query(
        "INSERT INTO toast_failed_rows (scheduler, row_id, reason, failures, failed_at, retry_at)"
        " SELECT %s, gen_random_uuid(), 'bad', 1, now(), now() + interval '1 hour'"
        " FROM generate_series(1, %s)",
        scheduler,
        count,
    )
