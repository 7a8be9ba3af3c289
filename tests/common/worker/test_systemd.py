"""What a real worker sends to systemd, over a socket as systemd opens it."""

import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from common.worker.systemd import SystemdNotifier
from common.worker.worker_process import SUPERVISE_SECONDS
from devservers.child_processes import PATIENCE
from devservers.tcp_proxy import TcpProxy
from testing.database import TestDatabase
from testing.notify_socket import Listener
from testing.processes import Process, environment
from testing.scheduler_cases.link import link

pytestmark = pytest.mark.usefixtures("only_link_expiration")


@pytest.fixture
def systemd(tmp_path: Path) -> Iterator[Listener]:
    listener = Listener(tmp_path / "notify")
    yield listener
    listener.close()


def test_a_worker_notifies_systemd_of_ready_status_and_stopping(
    database: TestDatabase, systemd: Listener
) -> None:
    link().insert(database)
    env = environment(database, NOTIFY_SOCKET=str(systemd.path))
    with Process("workers.link", env=env) as process:
        systemd.wait_for("READY=1")
        systemd.wait_for("WATCHDOG=1")
        systemd.wait_for(r"STATUS=link-expiration ok (just now|\d+ s ago).*; 1 event waits \(.+\)")
        systemd.wait_for("WATCHDOG=1")
        assert process.stop() == 0
        systemd.wait_for("STOPPING=1")


def test_a_worker_is_ready_without_postgresql_and_reports_what_it_waits_for(
    database: TestDatabase, systemd: Listener
) -> None:
    env = {**environment(database), "DB_PORT": "1", "NOTIFY_SOCKET": str(systemd.path)}
    with Process("workers.twitchbot", env=env) as process:
        systemd.wait_for("READY=1")
        systemd.wait_for(r"STATUS=message-cleanup failed .*; stream-closer failed .*")
        assert process.stop() == 0


def test_a_worker_that_is_stalled_gives_no_sign_of_life(
    database: TestDatabase, systemd: Listener
) -> None:
    database.insert("twitchbot_messages", created_at="2020-01-01T00:00:00Z")
    with TcpProxy(database.server.port) as proxy:
        proxy.hang_at(b"DELETE FROM twitchbot_messages")
        env = environment(database, DB_PORT=str(proxy.port), NOTIFY_SOCKET=str(systemd.path))
        with Process("tests.support.impatient_worker", env=env):
            systemd.wait_for(r"STATUS=message-cleanup has made no progress for too long.*")
            assert time.monotonic() - systemd.fed_at > SUPERVISE_SECONDS / 2


def test_bad_settings_are_never_ready(database: TestDatabase, systemd: Listener) -> None:
    env = environment(database, NOTIFY_SOCKET=str(systemd.path), LINK_EXPIRATION_INTERVAL="soon")
    with Process("workers.link", env=env) as process:
        assert process.exit_code() == 78
    assert systemd.messages == []


def test_an_abstract_socket_is_one_too() -> None:
    name = f"toast-test-{id(object())}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(f"\0{name}")
        listener.settimeout(PATIENCE)
        SystemdNotifier(f"@{name}").ready()
        assert listener.recv(100) == b"READY=1"


def test_without_systemd_nothing_happens(tmp_path: Path) -> None:
    for address in ("", str(tmp_path / "gone"), "@nowhere"):
        manager = SystemdNotifier(address)
        manager.ready()
        manager.feed_watchdog()
        manager.status("fine")
        manager.stopping()


def test_a_status_is_sent_when_it_changes(systemd: Listener) -> None:
    manager = SystemdNotifier(str(systemd.path))
    for line in ("one", "one", "two\nlines"):
        manager.status(line)
    manager.ready()
    systemd.wait_for("READY=1")
    assert systemd.messages == ["STATUS=one", "STATUS=two lines", "READY=1"]
