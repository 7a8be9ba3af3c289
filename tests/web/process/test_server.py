"""What slow, greedy and broken clients get from the page, and that they cannot hold it."""

import contextlib
import os
import pwd
import select
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from devservers.child_processes import poll_until
from testing.database import TestDatabase
from testing.processes import Process, environment
from tests.web.process.browser import Browser, at_socket, connect, serving_well, who
from web.access.gate import MOST_BODY_BYTES
from web.server import MOST_CONNECTIONS, REQUEST_SECONDS

pytestmark = pytest.mark.servers

GET = b"GET /static/style.css HTTP/1.1\r\nHost: localhost\r\n"
POST = b"POST /rows/retry HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5000\r\n\r\n"
AUDIT = b"GET /audit HTTP/1.1\r\nHost: localhost\r\n\r\n"
# More than the buffers of a connection: an answer that must be read to be sent.
LARGE_ANSWER_BYTES = 500_000


@pytest.fixture(scope="module")
def page(module_database: TestDatabase, folder: Path) -> Iterator[Process]:
    """The page; its log must have no traceback in the end."""
    with serving_well(environment(module_database, **at_socket(folder))) as page:
        yield page


@pytest.fixture
def browser(page: Process, folder: Path) -> Browser:
    return Browser(f"{folder}/web.sock")


def answer(folder: Path, request: bytes) -> bytes:
    """All that is answered to these bytes."""
    with connect(f"{folder}/web.sock") as client:
        client.sendall(request)
        return client.makefile("rb").read()


class Slow:
    """A client that sends the rest slowly, or nothing more, and reads nothing."""

    def __init__(self, address: str, begin: bytes, rest: bytes) -> None:
        self.client = connect(address)
        self.client.sendall(begin)
        self.client.setblocking(False)
        self._rest = rest
        self._poll = select.poll()
        self._poll.register(self.client, 0)

    @property
    def is_cut(self) -> bool:
        """Whether the server has closed the connection."""
        return bool(self._poll.poll(0))

    def drip(self) -> None:
        """Send one more byte, if there is any."""
        with contextlib.suppress(OSError):
            self.client.send(self._rest)


def count_cut(slow: list[Slow]) -> int:
    """Let each client send its next byte; how many are cut."""
    for each in slow:
        each.drip()
    return sum(each.is_cut for each in slow)


def test_slow_clients_are_cut_and_others_served_after_ten_seconds(
    module_database: TestDatabase, page: Process, browser: Browser, folder: Path
) -> None:
    module_database.query(
        "INSERT INTO toast_audit (login, host, action, subject, rows, first_rows, reason)"
        " SELECT 'a', 'b', 'c', 'd', 1, '{}', repeat('x', %s) FROM generate_series(1, 20)",
        LARGE_ANSWER_BYTES // 20,
    )
    kinds = [(b"", b""), (GET + b"X: ", b"x"), (POST, b"x"), (AUDIT, b"")]
    began = time.monotonic()
    with contextlib.ExitStack() as stack:
        slow: list[Slow] = []
        for _ in range(10):
            for begin, rest in kinds:
                each = Slow(f"{folder}/web.sock", begin, rest)
                stack.callback(each.client.close)
                slow.append(each)
        honest = connect(f"{folder}/web.sock")
        stack.callback(honest.close)
        honest.sendall(GET + b"\r\n")
        assert not poll_until(lambda: count_cut(slow) > 0, REQUEST_SECONDS / 2)
        assert poll_until(lambda: count_cut(slow) >= MOST_CONNECTIONS, 2 * REQUEST_SECONDS)
        first = honest.recv(100)

        assert REQUEST_SECONDS - 1 < time.monotonic() - began < REQUEST_SECONDS + 3
        assert first.startswith(b"HTTP/1.1 200 ")
    assert browser.get("/static/style.css").status == 200


def test_a_connection_gets_one_answer(page: Process, folder: Path) -> None:
    for version in (b"1.1", b"1.0"):
        request = GET.replace(b"1.1", version) + b"Connection: keep-alive\r\n\r\n"
        received = answer(folder, 3 * request)
        assert received.count(b"HTTP/1.") == 1
        assert b"\r\nConnection: close\r\n" in received


@pytest.mark.parametrize(
    ("request_bytes", "status"),
    [
        (b"nonsense\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: localhost\r\nno field\r\n\r\n", 400),
        ((b"GET / HTTP/1.1\r\nX: " + 16_384 * b"x")[:16_384], 431),
        (b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9999999999\r\n\r\n", 413),
        (b"GET / HTTP/1.1\r\n\r\n", 421),
        (b"TRACE / HTTP/1.1\r\nHost: localhost\r\n\r\n", 400),
    ],
)
def test_a_request_that_is_none_is_refused_in_the_look_of_the_page(
    page: Process, folder: Path, request_bytes: bytes, status: int
) -> None:
    received = answer(folder, request_bytes)

    head, _, body = received.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.")
    assert int(head[9:12]) == status
    assert b"Content-Security-Policy: default-src 'none'" in head
    assert b"style.css" in body


def test_a_form_that_is_too_large_is_refused(browser: Browser) -> None:
    assert browser.post("/rows/retry", ids="x" * MOST_BODY_BYTES).status == 413


def test_the_user_behind_the_socket_is_who_acts(page: Process, folder: Path) -> None:
    me = pwd.getpwuid(os.getuid()).pw_name
    assert who(Browser(f"{folder}/web.sock").get("/audit").text) == me
    if os.getuid() != 0:
        pytest.skip("only root can connect as another user")
    folder.chmod(0o755)
    (folder / "web.sock").chmod(0o666)
    program = """
import os, socket, sys
os.setuid(int(sys.argv[2]))
client = socket.socket(socket.AF_UNIX)
client.connect(sys.argv[1])
client.sendall(b"GET /audit HTTP/1.1\\r\\nHost: localhost\\r\\n\\r\\n")
print(client.makefile("rb").read().decode())"""
    nobody = pwd.getpwnam("nobody")
    for user, name in ((nobody.pw_uid, "nobody"), (54_321, "uid 54321")):
        command = [sys.executable, "-c", program, f"{folder}/web.sock", str(user)]
        shown = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        assert who(shown) == name
