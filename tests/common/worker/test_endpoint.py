"""What a worker's port answers, and to whom: real workers, real sockets."""

from __future__ import annotations

import contextlib
import os
import re
import select
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from common.logging import logs
from common.scheduling.under_way.heartbeat import STALLED_SECONDS
from common.worker.endpoint.endpoint import Endpoint
from common.worker.endpoint.server import CONNECTION_SECONDS, MOST_CONNECTIONS
from devservers.child_processes import free_port
from devservers.standins.sse import SseServer
from devservers.tcp_proxy import TcpProxy
from testing.advertised import advertised
from testing.database import TestDatabase
from testing.processes import Process, environment
from tests.support.scrapes import ask, ask_until

TESTS = Path(__file__).parent
PATHS = ("/metrics", "/healthz", "/readyz")


@pytest.fixture
def twitchbot(module_database: TestDatabase, port: int) -> Iterator[Process]:
    """An idle worker that serves: it publishes nothing, so it has no broker to miss."""
    env = environment(module_database, METRICS_PORT=str(port))
    with Process("workers.twitchbot", env=env) as worker:
        worker.wait_for("pass_finished", count=2)
        worker.wait_for("metrics_port_opened", port=port)
        yield worker


def listening(worker: Process) -> set[tuple[str, int]]:
    """The addresses and ports on which a process takes TCP connections."""
    inodes = set()
    for path in Path(f"/proc/{worker.pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):  # it has just been closed
            if found := re.fullmatch(r"socket:\[(\d+)]", os.readlink(path)):
                inodes.add(found[1])
    addresses = set()
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/{worker.pid}/net/{table}").read_text().splitlines()[1:]:
            _, local, _, state, *rest = line.split()
            if state == "0A" and rest[5] in inodes:
                host, _, port = local.partition(":")
                octets = bytes.fromhex(host)
                host = ".".join(map(str, octets[::-1] if sys.byteorder == "little" else octets))
                addresses.add((host, int(port, 16)))
    return addresses


# --- what is answered -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "content_type", "beginning"),
    [
        ("/metrics", "text/plain; version=0.0.4; charset=utf-8", "# HELP "),
        ("/healthz", "text/plain; charset=utf-8", "ok\n"),
        ("/readyz", "text/plain; charset=utf-8", "ok\n"),
    ],
)
def test_a_path_is_answered_with_or_without_its_body(
    twitchbot: Process, port: int, path: str, content_type: str, beginning: str
) -> None:
    whole = ask(port, path)
    assert (whole.status, whole.headers["content-type"]) == (200, content_type)
    assert whole.text.startswith(beginning)
    assert int(whole.headers["content-length"]) == len(whole.text.encode())
    with socket.create_connection(("127.0.0.1", port)) as client:
        client.sendall(f"HEAD {path} HTTP/1.0\r\nHost: localhost\r\n\r\n".encode())
        head = client.makefile(newline="").read()
    assert head.startswith("HTTP/1.0 200 ")
    assert f"\r\nContent-Type: {content_type}\r\nContent-Length: " in head
    assert head.endswith("\r\n\r\n")
    assert head.count("\r\n\r\n") == 1
    assert ask(port, f"{path}?name[]=up&x=/healthz").status == 200


def test_nothing_else_is_answered(twitchbot: Process, port: int) -> None:
    others = [*("/", "//", "/favicon.ico", "/metrics/", "/metrics/x", "/Metrics", "/%6detrics")]
    others += [*("*", "?", "/healthz/../metrics", f"http://127.0.0.1:{port}/metrics", "/" * 5_000)]
    for path in others:
        answer = ask(port, path)
        assert (answer.status, "# HELP" in answer.text) == (404, False), path
    assert "there are /metrics, /healthz, /readyz" in ask(port, "/").text
    for method in ("POST", "PUT", "DELETE", "OPTIONS", "TRACE", "CONNECT", "get"):
        for path in PATHS:
            answer = ask(port, path, method)
            assert (answer.status, "# HELP" in answer.text) == (501, False), method
    assert ask(port, "/" * 100_000).status == 414
    assert ask(port).status == 200
    assert twitchbot.records("metrics_request_failed") == []


def test_it_listens_on_one_port_of_this_machine_and_nowhere_else(
    twitchbot: Process, port: int
) -> None:
    assert listening(twitchbot) == {("127.0.0.1", port)}
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.2", port), 5)


def test_port_0_is_none(database: TestDatabase) -> None:
    with Process("workers.link", env=environment(database, METRICS_PORT="0")) as worker:
        worker.wait_for("pass_finished")
        assert listening(worker) == set()
        assert worker.stop() == 0
    assert "metrics_" not in worker.log


# --- clients that misbehave -------------------------------------------------------------------


def test_a_silent_client_delays_no_other(twitchbot: Process, port: int) -> None:
    clients = [socket.create_connection(("127.0.0.1", port)) for _ in range(MOST_CONNECTIONS - 1)]
    clients[0].sendall(b"GET /metrics HTTP/1.1\r\nHost:")
    assert [ask(port, path).status for path in PATHS] == [200, 200, 200]
    # Those are all waited for still.
    assert select.select(clients, [], [], 0)[0] == []
    for client in clients:
        with closing(client):
            client.settimeout(20)
            assert client.recv(1000) == b""  # hung up on, in the end


def test_clients_that_go_away_are_not_logged(twitchbot: Process, port: int) -> None:
    whole = b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n"
    for request in (b"", whole[:9], whole, b"\x16\x03\x01\xff\n\n"):
        with socket.create_connection(("127.0.0.1", port)) as client:
            client.sendall(request)
            # The peer gets a reset, not an orderly end.
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    assert ask(port).status == 200
    assert twitchbot.stop() == 0
    assert "metrics_request_failed" not in twitchbot.log
    assert "Traceback" not in twitchbot.log


def test_a_client_does_not_delay_the_stop(twitchbot: Process, port: int) -> None:
    with socket.create_connection(("127.0.0.1", port)) as client:
        client.sendall(b"GET /metrics HTTP/1.1\r\nHost:")
        began = time.monotonic()
        assert twitchbot.stop() == 0
        assert time.monotonic() - began < 3


def test_waiting_for_a_scrape_costs_nothing(twitchbot: Process, port: int) -> None:
    """But for the main thread, which looks after the others, none of an idle worker wakes up."""
    assert ask(port).status == 200

    def wakeups() -> dict[str, str]:
        statuses = {}
        for task in Path(f"/proc/{twitchbot.pid}/task").iterdir():
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # it has just ended
                statuses[task.name] = (task / "status").read_text()
        del statuses[str(twitchbot.pid)]
        return {name: status.split("ctxt_switches:")[1] for name, status in statuses.items()}

    deadline = time.monotonic() + 20
    while len(before := wakeups()) > 4:  # of two loops, of the port, and of the log
        assert time.monotonic() < deadline, "what the scrape began goes on"
        time.sleep(0.1)
    time.sleep(3)
    assert wakeups() == before
    assert len(before) == 4


@pytest.mark.parametrize("service", ["link", "notification", "sse", "twitchbot", "webhook"])
def test_a_worker_that_is_probed_loads_no_library_that_it_does_not_use(
    database: TestDatabase, port: int, service: str
) -> None:
    unused = {"requests", "urllib3", "grpc", "sentry_sdk", "confluent_kafka", "prometheus_client"}
    env = environment(
        database,
        METRICS_PORT=str(port),
        SSE_CLIENT_CLEANUP_ENABLED="false",
        PYTHONPROFILEIMPORTTIME="1",
    )
    with Process(f"workers.{service}", env=env) as worker:
        worker.wait_for("metrics_port_opened")
        if service != "sse":
            worker.wait_for("pass_finished")
        assert [ask(port, path).status for path in PATHS][:2] == [200, 200]
        assert worker.stop() == 0
    imported = set(re.findall(r"^import time:.*\| +([\w.]+)$", worker.log, re.MULTILINE))
    assert "common.worker.endpoint" in imported
    assert imported & unused == set()


# --- a port that is taken ---------------------------------------------------------------------


def test_a_port_in_use_is_an_error_and_taken_when_it_is_free(
    database: TestDatabase, mock_broker: str, port: int
) -> None:
    link = database.insert("link_links", expires_at="2026-01-02")["id"]
    with socket.create_server(("127.0.0.1", port)) as taken:
        env = environment(database, mock_broker, METRICS_PORT=str(port))
        with Process("workers.link", env=env) as worker:
            record = worker.wait_for("metrics_port_open_failed", level="error", service="link")
            assert (record["port"], record["reason"]) == (
                port,
                f"METRICS_PORT {port} of METRICS_BIND 127.0.0.1 cannot be opened:"
                " it is in use by another process",
            )
            worker.wait_for("pass_finished", processed=1)  # which goes on as if nothing were
            taken.close()
            worker.wait_for("metrics_port_opened", port=port)
            assert ask(port, "/healthz").status == 200
            assert worker.stop() == 0
    assert database.query("SELECT is_active FROM link_links WHERE id = %s", link) == [
        {"is_active": False}
    ]


def test_a_port_that_stays_in_use_is_logged_once(
    port: int, capfd: pytest.CaptureFixture[str]
) -> None:
    logs.configure("info", "text")
    endpoint = Endpoint("127.0.0.1", port, (), {})
    with socket.create_server(("127.0.0.1", port)):
        for _ in range(3):
            endpoint.open()
    [line] = capfd.readouterr().err.splitlines()
    assert " error metrics_port_open_failed " in line


def test_a_restart_has_its_port_at_once(database: TestDatabase, port: int) -> None:
    env = environment(database, METRICS_PORT=str(port))
    for _ in range(2):
        with Process("workers.twitchbot", env=env) as worker:
            worker.wait_for("metrics_port_opened", port=port)
            with socket.create_connection(("127.0.0.1", port)) as client:
                client.sendall(b"GET /metrics HTTP/1.0\r\nHost: localhost\r\n\r\n")
                # To its end, which makes the worker's side the one that remembers it.
                assert client.makefile().read().startswith("HTTP/1.0 200 ")
                assert worker.stop() == 0
        assert worker.records("metrics_port_open_failed") == []


# --- health -----------------------------------------------------------------------------------


def test_a_loop_that_is_stalled_is_not_healthy_until_it_goes_on(
    database: TestDatabase, port: int
) -> None:
    """A worker for which a pass without a sign of life for one second counts as stalled."""
    assert STALLED_SECONDS == 150
    database.insert("twitchbot_messages", created_at="2020-01-01T00:00:00Z")
    with TcpProxy(database.server.port) as proxy:
        hangs = proxy.hang_at(b"DELETE FROM twitchbot_messages")
        env = environment(database, DB_PORT=str(proxy.port), METRICS_PORT=str(port))
        with Process("tests.support.impatient_worker", env=env):
            assert ask_until(port, "/healthz", 200).text == "ok\n"
            assert hangs.wait(20)
            answer = ask_until(port, "/healthz", 503)
            assert answer.text == "message-cleanup has made no progress for too long\n"
            assert ask_until(port, "/readyz", 503).text.startswith(answer.text)
            ask_until(port, "/healthz", 200)  # the worker has broken the connection by itself


def test_an_unreachable_dependency_does_not_change_health(
    database: TestDatabase, port: int
) -> None:
    env = environment(database, DB_PORT="1", METRICS_PORT=str(port))
    with Process("workers.link", env=env) as worker:
        worker.wait_for("pass_failed")
        worker.wait_for("publish_failed")
        # The first pass may fail before the port is open.
        assert ask_until(port, "/healthz", 200).text == "ok\n"


# --- readiness --------------------------------------------------------------------------------


def test_a_worker_is_ready_while_postgresql_is_there(database: TestDatabase, port: int) -> None:
    server, door = database.server.port, free_port()
    env = environment(database, DB_PORT=str(door), METRICS_PORT=str(port))
    with Process("workers.twitchbot", env=env):
        with TcpProxy(server, door):
            assert ask_until(port, "/readyz", 200).text == "ok\n"
        answer = ask_until(port, "/readyz", 503)
        [line] = answer.text.splitlines()
        assert line.startswith("PostgreSQL: ")
        assert f"port {door} failed: Connection refused" in line
        assert database.server.password not in line
        assert ask(port, "/healthz").status == 200
        with TcpProxy(server, door):
            assert ask_until(port, "/readyz", 200).text == "ok\n"


def test_a_server_that_answers_nothing_is_waited_for_briefly(
    database: TestDatabase, port: int
) -> None:
    with TcpProxy(database.server.port) as proxy:
        env = environment(database, DB_PORT=str(proxy.port), METRICS_PORT=str(port))
        with Process("workers.twitchbot", env=env) as worker:
            worker.wait_for("pass_finished", count=2)
            hangs = proxy.hang_at(b"toast_migrations")
            answer = ask(port, "/readyz")
            assert (answer.status, answer.text) == (503, "PostgreSQL: no answer within 3 s\n")
            assert hangs.is_set()
            ask_until(port, "/readyz", 200)


def test_a_check_that_does_not_end_is_named_in_time(database: TestDatabase, port: int) -> None:
    # It takes connections and sends nothing: longer than a request may take.
    with socket.create_server(("127.0.0.1", 0)) as silent:
        env = environment(database, DB_PORT=str(silent.getsockname()[1]), METRICS_PORT=str(port))
        with Process("workers.twitchbot", env=env) as worker:
            worker.wait_for("metrics_port_opened")
            began = time.monotonic()
            answers = [ask(port, "/readyz") for _ in range(2)]  # the second at once
            assert time.monotonic() - began < CONNECTION_SECONDS
            assert ask(port, "/healthz").status == 200
            late = (503, "PostgreSQL: no answer within 4 s\n")
            assert [(answer.status, answer.text) for answer in answers] == [late, late]


def test_the_tables_of_our_own_belong_to_it(database: TestDatabase, port: int) -> None:
    env = environment(database, TOAST_MIGRATE="false", METRICS_PORT=str(port))
    database.query("DELETE FROM toast_migrations WHERE number = 3")
    with Process("workers.twitchbot", env=env) as worker:
        worker.wait_for("pass_failed", count=2)
        answer = ask_until(port, "/readyz", 503)
        assert answer.text == "PostgreSQL: run `toast migrate`: not applied here yet: 0003_runs\n"


def test_a_lasting_failure_is_a_reason_for_not_ready(database: TestDatabase, port: int) -> None:
    database.query("ALTER TABLE twitchbot_messages RENAME TO chat")
    env = environment(database, MESSAGE_CLEANUP_INTERVAL="1s", METRICS_PORT=str(port))
    with Process("workers.twitchbot", env=env) as worker:
        worker.wait_for("pass_failed")
        answer = ask_until(port, "/readyz", 503)
        assert answer.text == (
            "message-cleanup: TablesUnusable: there is no table twitchbot_messages that this role"
            " can see => set DB_NAME to the live service's database\n"
        )
        assert ask(port, "/healthz").status == 200
        database.query("ALTER TABLE chat RENAME TO twitchbot_messages")
        assert ask_until(port, "/readyz", 200).text == "ok\n"


def test_a_short_failure_leaves_the_worker_ready(database: TestDatabase, port: int) -> None:
    database.insert("twitchbot_messages", created_at="2020-01-01T00:00:00Z")
    env = environment(database, STREAM_CLOSER_INTERVAL="1s", METRICS_PORT=str(port))
    with database.connect(autocommit=False) as blocker:
        blocker.execute("LOCK TABLE twitchbot_messages")
        with Process("workers.twitchbot", env=env) as worker:
            worker.wait_for("pass_failed", scheduler="message-cleanup")
            assert ask_until(port, "/readyz", 200).text == "ok\n"


def test_a_worker_that_publishes_needs_one_broker(
    database: TestDatabase, mock_broker: str, port: int
) -> None:
    broker, door, unused = int(mock_broker.rpartition(":")[2]), free_port(), free_port()
    brokers = f"127.0.0.1:{unused},127.0.0.1:{door}"
    with Process("workers.link", env=environment(database, brokers, METRICS_PORT=str(port))):
        with TcpProxy(broker, door):
            assert ask_until(port, "/readyz", 200).text == "ok\n"
        refused = "; ".join(f"127.0.0.1:{one}: Connection refused" for one in (unused, door))
        assert ask_until(port, "/readyz", 503).text == f"Kafka: {refused}\n"
        with TcpProxy(broker, door):
            assert ask_until(port, "/readyz", 200).text == "ok\n"


def test_a_broker_that_advertises_what_nobody_can_reach_is_named(
    database: TestDatabase, mock_broker: str, port: int
) -> None:
    unused = free_port()
    with advertised(mock_broker, {mock_broker: unused}) as brokers:
        env = environment(database, brokers, METRICS_PORT=str(port))
        with Process("workers.link", env=env):
            answer = ask_until(port, "/readyz", 503)
    # Behind what failed: the metadata may have come or not.
    assert answer.text.startswith("Kafka: ")
    assert f"broker 1, advertised as 127.0.0.1:{unused}: " in answer.text
    assert "Connection refused => start it, or correct its advertised.listeners" in answer.text


def test_the_reason_why_events_wait_is_shown(database: TestDatabase, port: int) -> None:
    database.insert("link_links", expires_at="2026-01-02")
    # It takes connections and sends nothing.
    with socket.create_server(("127.0.0.1", 0)) as silent:
        broker = f"127.0.0.1:{silent.getsockname()[1]}"
        env = environment(database, broker, METRICS_PORT=str(port))
        with Process("workers.link", env=env) as worker:
            reason = worker.wait_for("publish_failed")["reason"]
            answer = ask_until(port, "/readyz", 503)
            last = answer.text.splitlines()[-1]
            assert last == f"events wait: {' '.join(reason.split())}"


def test_client_cleanup_needs_the_sse_service(database: TestDatabase, port: int) -> None:
    with SseServer() as sse:
        env = environment(database, SSE_GRPC_ADDR=sse.address, METRICS_PORT=str(port))
        with Process("workers.sse", env=env) as worker:
            worker.wait_for("pass_finished")
            assert ask_until(port, "/readyz", 200).text == "ok\n"
            sse.stop()
            answer = ask_until(port, "/readyz", 503)
            [line] = answer.text.splitlines()
            assert line.endswith(f"{sse.address}: Connection refused")
            assert line.startswith("SSE")
            sse.start()
            assert ask_until(port, "/readyz", 200).text == "ok\n"


def test_what_two_schedulers_need_is_named_once(
    database: TestDatabase, mock_broker: str, port: int
) -> None:
    env = environment(
        database,
        mock_broker,
        BLIZZARD_CLIENT_ID="id",
        BLIZZARD_CLIENT_SECRET="secret",
        BLIZZARD_API_URL="http://127.0.0.1:1",
        METRICS_PORT=str(port),
    )
    with Process("workers.warcraft", env=env):
        answer = ask_until(port, "/readyz", 503)
        assert answer.text == "Battle.net: 127.0.0.1:1: Connection refused\n"


def test_a_scheduler_that_is_disabled_needs_nothing(database: TestDatabase, port: int) -> None:
    env = environment(
        database,
        SSE_GRPC_ADDR="127.0.0.1:1",
        SSE_CLIENT_CLEANUP_ENABLED="false",
        METRICS_PORT=str(port),
    )
    with Process("workers.sse", env=env):
        assert ask_until(port, "/readyz", 200).text == "ok\n"
