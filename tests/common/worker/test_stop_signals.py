"""Every signal that would end a worker stops it, and loses nothing."""

import signal
from collections.abc import Iterator

import pytest

from common import signals
from devservers.child_processes import PATIENCE, poll_until
from testing.database import TestDatabase
from testing.processes import Process, environment
from testing.topics import Topic
from tests.support.expired_links import insert_expired, slow_down

pytestmark = pytest.mark.usefixtures("only_link_expiration")

# By signal(7), those that end a process without a core, and SIGQUIT and SIGXCPU, which dump one.
ENDING = {
    name: getattr(signal, name)
    for name in (
        *("SIGHUP", "SIGINT", "SIGQUIT", "SIGUSR2", "SIGALRM", "SIGTERM", "SIGSTKFLT", "SIGXCPU"),
        *("SIGVTALRM", "SIGPROF", "SIGIO", "SIGPWR", "SIGRTMIN", "SIGRTMAX"),
    )
} | {"SIGRTMIN+1": signal.SIGRTMIN + 1}
LINKS = 500


@pytest.fixture(scope="module")
def slow_links(module_database: TestDatabase) -> TestDatabase:
    """A database in which a batch of links takes a while."""
    slow_down(module_database, "link_links", 0.5)
    return module_database


@pytest.fixture
def due_links(slow_links: TestDatabase) -> TestDatabase:
    slow_links.query("DELETE FROM link_links; DELETE FROM toast_outbox; DELETE FROM toast_runs")
    insert_expired(slow_links, LINKS)
    return slow_links


def in_a_batch(database: TestDatabase) -> bool:
    return bool(database.query("SELECT 1 FROM pg_stat_activity WHERE wait_event = 'PgSleep'"))


def test_every_signal_that_would_end_the_process_is_awaited() -> None:
    ignored = {number for number in ENDING.values() if signal.getsignal(number) is signal.SIG_IGN}
    assert set(ENDING.values()) - ignored <= signals.ending()


@pytest.mark.parametrize("name", ["SIGUSR2", "SIGQUIT", "SIGRTMIN+1"])
def test_a_signal_in_the_middle_of_a_batch_lets_it_finish(
    due_links: TestDatabase, mock_broker: str, name: str
) -> None:
    arrived = Topic(mock_broker, "link.expired")
    with Process("workers.link", env=environment(due_links, mock_broker)) as worker:
        assert poll_until(lambda: in_a_batch(due_links), PATIENCE)
        assert worker.stop(ENDING[name]) == 0
    assert worker.records("stop_requested", signal=name)
    [changed] = due_links.query("SELECT count(*) FROM link_links WHERE NOT is_active")
    assert changed["count"] == LINKS
    assert arrived.count() + due_links.count("toast_outbox") == LINKS
    assert due_links.query("SELECT result FROM toast_runs") == [{"result": "ok"}]


@pytest.fixture(params=["SIGHUP", "SIGRTMIN"])
def ignored(request: pytest.FixtureRequest) -> Iterator[signal.Signals]:
    """A signal that this process ignores, and so its children do."""
    number = signal.Signals[request.param]
    before = signal.signal(number, signal.SIG_IGN)
    yield number
    signal.signal(number, before)


def test_a_signal_that_was_ignored_at_the_start_stays_ignored(
    due_links: TestDatabase, mock_broker: str, ignored: signal.Signals
) -> None:
    """As SIGHUP is under nohup."""
    env = environment(due_links, mock_broker)
    with Process("workers.link", env=env, fresh=True) as worker:
        worker.wait_for("worker_started")
        worker.send(ignored)
        worker.wait_for("pass_finished")
        worker.send(signal.SIGUSR1)
        worker.wait_for("run_now_requested")
        assert worker.stop() == 0
    assert [record["signal"] for record in worker.records("stop_requested")] == ["SIGTERM"]
