"""What strange and hostile clients get from a worker's endpoint, and what they cannot do to it."""

import contextlib
import itertools
import resource
import signal
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from common.worker.endpoint.request import MOST_BYTES
from common.worker.endpoint.server import CONNECTION_SECONDS, MOST_CONNECTIONS
from devservers.child_processes import PATIENCE, free_port, poll_until
from testing.database import TestDatabase
from testing.processes import Process, environment, toast
from tests.support.scrapes import ask

REQUEST = b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n"
NAMED = "Vm1.example.org, fd00::5,10.1.2.3"


@pytest.fixture(scope="module")
def port() -> int:
    return free_port()


@pytest.fixture(scope="module")
def worker(module_database: TestDatabase, port: int) -> Iterator[Process]:
    """An idle worker that publishes nothing; its log must have no traceback in the end."""
    env = environment(module_database, METRICS_PORT=str(port), METRICS_HOSTS=NAMED)
    with Process("workers.twitchbot", env=env) as worker:
        worker.wait_for("pass_finished", count=2)
        worker.wait_for("metrics_port_opened")
        yield worker
        assert worker.stop() == 0
        assert "Traceback" not in worker.log
        assert worker.records("metrics_request_failed") == []


def connect(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), PATIENCE)


def answer(client: socket.socket, request: bytes) -> bytes:
    """All that is answered to these bytes."""
    with client:
        client.sendall(request)
        return client.makefile("rb").read()


def status(port: int, request: bytes) -> int:
    received = answer(connect(port), request)
    assert received.startswith(b"HTTP/1.0 "), received
    return int(received[9:12])


# --- names ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        *((name, 200) for name in ("127.0.0.1", "localhost", "[::1]", "LOCALHOST")),
        *((f"{name}:80", 200) for name in ("127.0.0.1", "localhost", "[::1]", "vm1.example.org")),
        *((name, 200) for name in ("VM1.example.org", "[fd00::5]", "10.1.2.3:9803")),
        *((name, 421) for name in ("evil.example", "evil.example:9803", "127.0.0.1.evil.example")),
        *((name, 421) for name in ("localhost.evil.example", "10.1.2.4", "[::2]", "*", "0.0.0.0")),
        *((name, 400) for name in ("", ":80", "localhost:x", "localhost:80:80", "::1", "[::1")),
        ("user@localhost", 421),
    ],
)
def test_only_known_names_are_answered(
    worker: Process, port: int, host: str, expected: int
) -> None:
    for path in ("/metrics", "/healthz", "/readyz"):
        request = f"GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode()
        assert status(port, request) == expected


def test_the_refusal_of_a_name_tells_what_to_set(worker: Process, port: int) -> None:
    request = b"GET / HTTP/1.1\r\nHost: evil.example\r\n\r\n"
    received = answer(connect(port), request)
    assert received.endswith(
        b"\r\n\r\nthe Host header names none of localhost, 127.0.0.1, [::1] and METRICS_HOSTS\n"
    )


# --- bytes ------------------------------------------------------------------------------------

# The first of these that a part of the request deserves is its status.
PRECEDENCE = (414, 400, 505, 431, 4000, 421, 501, 404, 200)
LINES = {
    b"GET /healthz HTTP/1.1": 200,
    b"HEAD /healthz?a=%00&b HTTP/1.0": 200,
    b"GET /healthz HTTP/1.9": 200,
    b"GET http://localhost/healthz HTTP/1.1": 404,
    b"POST /healthz HTTP/1.1": 501,
    b"get /healthz HTTP/1.1": 501,
    b"CONNECT localhost:1 HTTP/1.1": 501,
    b"PRI * HTTP/2.0": 505,
    b"GET /" + b"x" * MOST_BYTES: 414,
    **dict.fromkeys(
        (
            b"GET /healthz",  # HTTP/0.9
            b"",
            b"GET",
            b"GET  /healthz HTTP/1.1",
            b" GET /healthz HTTP/1.1",
            b"GET /healthz HTTP/1.1 ",
            b"GET /health\0z HTTP/1.1",
            b"GET /healthz\rHTTP/1.1",
            b"GET /h\xc3\xa4lthz HTTP/1.1",
            b"GET /healthz HTTP/1",
            b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03",  # TLS
        ),
        400,
    ),
}
# 4000 is a 400 for the fields, found after the whole head was read.
FIELDS = {
    b"Host: localhost": 200,
    b"hOST:\tlocalhost:1 \nX-\xc3\xa4: 1": 4000,
    b"Accept: */*\nhost:localhost\nX: \xff": 200,
    b"Host: evil.example": 421,
    b"Accept: */*": 4000,
    b"Host: localhost\nHost: localhost": 4000,
    b"Host : localhost": 4000,
    b"Host: localhost\n folded": 4000,
    b"Host: localhost\nX: a\0b": 4000,
    b"Host: localhost\nX: a\rHost: evil.example": 4000,
    b"Host: localhost\nno colon": 4000,
    b"Host: localhost\nX: " + b"x" * MOST_BYTES: 431,
    b"Host: localhost" + b"\nX: 1" * MOST_BYTES: 431,
}
TAILS = (b"", REQUEST, b"\0" * 20_000)


@pytest.mark.parametrize("line_end", [b"\r\n", b"\n"])
def test_every_request_gets_its_status_and_one_answer(
    worker: Process, port: int, line_end: bytes
) -> None:
    for line, fields, tail in itertools.product(LINES, FIELDS, TAILS):
        head = b"\n".join((line, fields, b"", b"")).replace(b"\n", line_end)
        received = answer(connect(port), head + tail)
        expected = min(LINES[line], FIELDS[fields], key=PRECEDENCE.index)
        assert received[9:12] == str(expected)[:3].encode(), (line[:50], fields[:50], tail[:9])
        assert received.count(b"HTTP/1.0 ") == 1
        assert b"# HELP" not in received
    assert ask(port).status == 200


# --- time and number --------------------------------------------------------------------------


def silent(port: int) -> socket.socket:
    return connect(port)


def within_the_head(port: int) -> socket.socket:
    client = connect(port)
    client.sendall(REQUEST[:-2])
    return client


def unread(port: int) -> socket.socket:
    """A client that does not read its answer, and has little room for it."""
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
    client.connect(("127.0.0.1", port))
    client.sendall(REQUEST)
    return client


def left_open(port: int) -> socket.socket:
    """A client that has read its answer, and stays."""
    client = connect(port)
    client.sendall(REQUEST)
    client.makefile("rb").read()
    return client


def drip(client: socket.socket) -> None:
    """One more byte, also if the client is cut already."""
    with contextlib.suppress(OSError):
        client.send(b"x")


def is_cut(client: socket.socket) -> bool:
    client.setblocking(False)
    try:
        while client.recv(1 << 20):
            pass
    except BlockingIOError:
        return False
    except OSError:
        return True
    return True


@pytest.mark.parametrize("slow", [silent, within_the_head, unread, left_open])
def test_slow_clients_are_cut_and_cost_no_thread(
    worker: Process, port: int, slow: Callable[[int], socket.socket]
) -> None:
    # Of an idle worker: the main thread, two loops, the endpoint, the log.
    assert poll_until(lambda: worker.threads == 5, PATIENCE)
    began = time.monotonic()
    clients = [slow(port) for _ in range(MOST_CONNECTIONS)]
    assert status(port, REQUEST) == 503
    many = [connect(port) for _ in range(200)]
    assert worker.threads <= 6  # perhaps with the sampler
    passes = len(worker.records("pass_finished"))
    worker.send(signal.SIGUSR1)
    worker.wait_for("pass_finished", count=passes + 2, seconds=CONNECTION_SECONDS)

    while time.monotonic() - began < CONNECTION_SECONDS + 1:
        if slow is within_the_head:
            for client in clients:
                drip(client)
        time.sleep(0.3)
    assert ask(port).status == 200
    assert all(is_cut(client) for client in [*clients, *many])
    assert worker.open_files < MOST_CONNECTIONS
    for client in [*clients, *many]:
        client.close()


def test_no_client_is_cut_early(worker: Process, port: int) -> None:
    with connect(port) as client:
        for byte in REQUEST:
            client.send(bytes([byte]))
            time.sleep((CONNECTION_SECONDS - 2) / len(REQUEST))
        assert client.makefile("rb").read().startswith(b"HTTP/1.0 200 OK\r\n")


def test_a_worker_that_may_open_no_more_files_answers_later(worker: Process, port: int) -> None:
    soft, hard = resource.prlimit(worker.pid, resource.RLIMIT_NOFILE)
    resource.prlimit(worker.pid, resource.RLIMIT_NOFILE, (3, hard))
    with connect(port) as client:
        assert worker.wait_for("metrics_accept_failed")["reason"] == "Too many open files"
        resource.prlimit(worker.pid, resource.RLIMIT_NOFILE, (soft, hard))
        assert answer(client, REQUEST).startswith(b"HTTP/1.0 200 OK\r\n")
    assert len(worker.records("metrics_accept_failed")) == 1


# --- where it listens -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("bind", "address"),
    [("0.0.0.0", "127.0.0.3"), ("127.0.0.2", "127.0.0.2"), ("::1", "::1")],
)
def test_it_listens_on_the_address_that_is_set(
    database: TestDatabase, bind: str, address: str
) -> None:
    port = free_port()
    env = environment(database, METRICS_PORT=str(port), METRICS_BIND=bind)
    with Process("workers.twitchbot", env=env) as worker:
        worker.wait_for("metrics_port_opened", host=bind, port=port)
        client = socket.create_connection((address, port), PATIENCE)
        assert answer(client, REQUEST).startswith(b"HTTP/1.0 200 OK\r\n")
        assert "processes: 1 ok by itself" in toast("status", "twitchbot", env=env).out


def test_an_address_of_another_machine_is_an_error(database: TestDatabase) -> None:
    env = environment(database, METRICS_PORT="9806", METRICS_BIND="192.0.2.1")
    with Process("workers.twitchbot", env=env) as worker:
        reason = worker.wait_for("metrics_port_open_failed")["reason"]
        assert reason == (
            "METRICS_PORT 9806 of METRICS_BIND 192.0.2.1 cannot be opened:"
            " Cannot assign requested address"
        )


def test_it_listens_on_a_unix_socket_also_after_a_kill(
    database: TestDatabase, tmp_path: Path
) -> None:
    path = tmp_path / "twitchbot.sock"
    env = environment(database, METRICS_PORT="1", METRICS_BIND=str(path))
    for _ in range(2):
        with Process("workers.twitchbot", env=env) as worker:
            worker.wait_for("metrics_port_opened", host=str(path))
            client = socket.socket(socket.AF_UNIX)
            client.connect(str(path))
            assert answer(client, REQUEST).startswith(b"HTTP/1.0 200 OK\r\n")
            assert "processes: 1 ok by itself" in toast("status", "twitchbot", env=env).out
            with Process("workers.twitchbot", env=env) as second:
                reason = second.wait_for("metrics_port_open_failed")["reason"]
                assert reason.endswith("it is in use by another process")
            worker.kill()
    status = toast("status", "twitchbot", env=env)
    assert f"not seen on this machine ({path})" in status.out


def test_a_file_in_place_of_the_socket_stays(database: TestDatabase, tmp_path: Path) -> None:
    path = tmp_path / "precious"
    path.write_text("text")
    env = environment(database, METRICS_PORT="1", METRICS_BIND=str(path))
    with Process("workers.twitchbot", env=env) as worker:
        worker.wait_for("metrics_port_open_failed")
        worker.wait_for("pass_finished", count=2)
    assert path.read_text() == "text"
