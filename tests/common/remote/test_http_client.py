"""The HTTP client: what counts as an answer, when it gives up, and which way it takes."""

from __future__ import annotations

import gzip
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import pytest
import trustme

from common.remote.http.client import Client, NoResponse, Response, Unsendable
from common.remote.http.egress import Egress, parse_proxy
from devservers.child_processes import PATIENCE
from devservers.network.forward_proxy import ForwardProxy
from devservers.network.scripted_server import Script, ScriptedServer

NAME = "remote.example"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
# More than the buffers of both sides' kernels hold.
BIG = b"x" * (16 << 20)

Play = Callable[[Script], ScriptedServer]


class Trusted:
    """A certificate authority of this test's own."""

    def __init__(self, folder: Path) -> None:
        authority = trustme.CA()
        self.file = str(folder / "ca.pem")
        authority.cert_pem.write_to_path(self.file)
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert(NAME, "127.0.0.1").configure_cert(self.context)


@pytest.fixture(scope="module")
def trusted(tmp_path_factory: pytest.TempPathFactory) -> Trusted:
    return Trusted(tmp_path_factory.mktemp("ca"))


@pytest.fixture
def play(trusted: Trusted) -> Iterator[Callable[..., ScriptedServer]]:
    """Starts servers that play a script, with or without TLS."""
    with ExitStack() as stack:
        yield lambda script, tls=False: stack.enter_context(
            ScriptedServer(script, tls=trusted.context if tls else None)
        )


def post(
    url: str,
    egress: Egress | None = None,
    *,
    seconds: float = PATIENCE,
    most_bytes: int = 1 << 20,
    **options: Any,
) -> Response:
    with closing(Client(egress)) as client:
        return client.request("POST", url, seconds=seconds, most_bytes=most_bytes, **options)


HEADERS_150 = b"".join(b"X-%d: y\r\n" % number for number in range(150))
GZIPPED = gzip.compress(b"packed")


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        (Script([b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n" + OK]), (200, b"ok", True)),
        (Script([b"HTTP/1.1 102 \r\n\r\n" * 2000, OK]), (200, b"ok", True)),
        (Script([b"HTTP/1.0 201\r\n\r\nok"]), (201, b"ok", True)),
        (Script([b"HTTP/1.1 202 A\n", b"\nok"]), (202, b"ok", True)),
        (Script([b"HTTP/1.1 204 No\r\n\r\n"], end="stall"), (204, b"", True)),
        (Script([b"HTTP/1.1 200 OK\r\n" + HEADERS_150 + b"\r\nok"]), (200, b"ok", True)),
        (Script([b"HTTP/1.1 200 OK\r\nX: " + b"y" * 70_000 + b"\r\n\r\nok"]), (200, b"ok", True)),
        (Script([b"HTTP/1.1 200 OK\r\nno field\r\n : \r\n\r\nok"]), (200, b"ok", True)),
        (Script([b"HTTP/1.1 200 OK\r\nX: " + b"y" * 300_000 + b"\r\n\r\nok"]), (200, b"", False)),
        (Script([b"HTTP/1.1 200 OK\r\nX: "], end="reset"), (200, b"", False)),
        (Script([b"HTTP/1.1 503 No\r\nRetry-Aft"]), (503, b"", False)),
        (Script([b"HTTP/1.1 200 OK\r\n\r\n", b"endless" * 1000], end="repeat"), (200, None, False)),
        (Script([b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nok"]), (200, b"ok", False)),
        (
            Script([b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n"]),
            (200, b"ok", True),
        ),
        (
            Script([b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\nbad"]),
            (200, b"ok", False),
        ),
        (
            Script([b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n" + GZIPPED]),
            (200, b"packed", True),
        ),
        (
            Script([b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n" + GZIPPED[:-4]]),
            (200, b"packed", False),
        ),
        (
            Script([b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\nnot packed"]),
            (200, b"", False),
        ),
        # `requests` would prepare a request to it, and fail.
        (Script([b"HTTP/1.1 302 F\r\nLocation: http://[::1/\r\n\r\n"]), (302, b"", True)),
    ],
    ids=lambda value: str(value)[:70] if isinstance(value, Script) else "",
)
def test_once_a_status_line_has_come_nothing_after_it_takes_it_back(
    play: Play, script: Script, expected: tuple[int, bytes | None, bool]
) -> None:
    answer = post(play(script).url, most_bytes=100_000)

    status, body, complete = expected
    assert (answer.status, answer.complete) == (status, complete)
    assert answer.body == (body if body is not None else (b"endless" * 20_000)[:100_000])


@pytest.mark.parametrize(
    "line",
    [
        b"HTTP/1.1 200 " + b"long " * 2_000,
        b"HTTP/1.1  200 OK",
        b"HTTP/1.1\t200\tOK",
        b"HTTP/1.1 200 O\rK",
        b"HTTP/1.1 200 OK\r",
        b"HTTP/1.1 103 " + b"long " * 2_000 + b"\r\n\r\nHTTP/1.1 200 OK",
    ],
    ids=lambda line: repr(line[:24]),
)
def test_how_a_status_line_is_spaced_decides_nothing(play: Play, line: bytes) -> None:
    answer = post(play(Script([line + b"\r\nContent-Length: 2\r\n\r\nok"])).url)
    assert (answer.status, answer.body) == (200, b"ok")


@pytest.mark.parametrize(
    ("sent", "reason"),
    [
        (b"", "the connection failed: RemoteDisconnected"),
        (b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n", "RemoteDisconnected"),
        (b"HTTP/1.1 103 Early Hints\r\nLink", "RemoteDisconnected"),
        *(
            (line, "the answer is not HTTP: BadStatusLine")
            for line in (
                b"HTTP/1.1 200",
                b"HTTP/1.1 2000 OK\r\n\r\n",
                b"HTTP/1.1 20 OK\r\n\r\n",
                b"HTTP/2 200 OK\r\n\r\n",
                b"HTTP/1.1 200OK\r\n\r\n",
                b"\r\n" + OK,
                b"220 mail.example ESMTP\r\n",
                b"x" * 100_000,
            )
        ),
    ],
)
def test_what_is_no_status_line_is_no_answer(play: Play, sent: bytes, reason: str) -> None:
    with pytest.raises(NoResponse) as caught:
        post(play(Script([sent])).url)
    assert reason in str(caught.value)


TOO_LARGE = b"HTTP/1.1 413 Payload Too Large\r\nRetry-After: 7\r\nContent-Length: 0\r\n\r\n"


@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
@pytest.mark.parametrize("end", ["close", "reset", "stall"])
def test_an_answer_that_comes_before_the_body_was_read_counts(
    play: Callable[..., ScriptedServer], trusted: Trusted, tls: bool, end: str
) -> None:
    interim = b"HTTP/1.1 103 Early Hints\r\n\r\n" if end == "close" else b""
    server = play(Script([interim + TOO_LARGE], reads="head", end=end), tls)

    started = time.monotonic()
    answer = post(server.url, Egress(ca_file=trusted.file), data=BIG)

    assert (answer.status, answer.headers["retry-after"]) == (413, "7")
    assert time.monotonic() - started < PATIENCE / 2


@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
def test_an_interim_answer_stops_no_body(
    play: Callable[..., ScriptedServer], trusted: Trusted, tls: bool
) -> None:
    class Hinting(ScriptedServer):
        def _read(self, connection: socket.socket, *, whole: bool) -> None:
            connection.sendall(b"HTTP/1.1 102 Processing\r\n\r\n")
            time.sleep(0.2)
            super()._read(connection, whole=whole)

    with Hinting(Script([OK]), tls=trusted.context if tls else None) as server:
        answer = post(server.url, Egress(ca_file=trusted.file), data=BIG)

    assert (answer.status, answer.body) == (200, b"ok")


@pytest.mark.parametrize(
    ("script", "tls"),
    [
        (Script([b""], end="stall"), False),
        (Script([b""], end="stall", reads="nothing"), True),
        (Script([b"HTTP/1.1 1"], end="stall"), False),
        (Script([b"HTTP/1.1 103 E\r\n", b"X: y\r\n"], end="repeat", pause=0.01), False),
        (Script([b"HTTP/1.1 103 E\r\n\r\n"], end="repeat"), False),
    ],
)
def test_one_deadline_covers_all_steps_without_a_thread(
    play: Callable[..., ScriptedServer], script: Script, tls: bool
) -> None:
    server = play(script)  # which never answers a handshake
    url = server.url.replace("http:", "https:") if tls else server.url
    threads = threading.active_count()
    most: list[int] = []
    probe = threading.Timer(0.2, lambda: most.append(threading.active_count()))
    probe.start()

    started = time.monotonic()
    with pytest.raises(NoResponse, match=r"^no answer within 0\.5 s$"):
        post(url, seconds=0.5)

    assert 0.5 <= time.monotonic() - started < PATIENCE / 2
    assert most == [threads + 1]  # the probe


def test_a_late_body_is_cut_at_the_deadline(play: Play) -> None:
    script = Script([b"HTTP/1.1 200 OK\r\n\r\n", b"a"], end="repeat", pause=0.01)

    answer = post(play(script).url, seconds=0.5)

    assert (answer.status, answer.complete, set(answer.body)) == (200, False, set(b"a"))


def test_a_header_that_cannot_be_sent_is_named_and_nothing_is_sent(play: Play) -> None:
    server = play(Script([OK]))
    for value in ("a\r\nX-Injected: yes", "\N{BREAD}"):
        with pytest.raises(Unsendable, match="a header of the request holds what no header may"):
            post(server.url, headers={"X-A": value})
    assert server.heads == []


def test_what_a_server_or_the_environment_suggests_is_not_sent(
    play: Play, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    header = b"Set-Cookie: a=b\r\nContent-Length: 0\r\nConnection: close"
    server = play(Script([b"HTTP/1.1 200 OK\r\n" + header + b"\r\n\r\n"]))
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login user password secret")
    monkeypatch.setenv("NETRC", str(tmp_path / ".netrc"))
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    with closing(Client()) as client:
        for _ in range(2):
            client.request("POST", server.url, seconds=PATIENCE, most_bytes=1)
    assert len(server.heads) == 2
    assert not any(b"Cookie" in head or b"Authorization" in head for head in server.heads)


# --- through a proxy ----------------------------------------------------------------------------


def through(proxy: ForwardProxy, trusted: Trusted, login: str = "") -> Egress:
    url = f"http://{login}{'@' if login else ''}127.0.0.1:{proxy.port}"
    return Egress(parse_proxy("OUTBOUND_PROXY", url), trusted.file)


@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
def test_a_proxy_looks_up_the_name_and_passes_tls_on(
    play: Callable[..., ScriptedServer], trusted: Trusted, tls: bool
) -> None:
    server = play(Script([OK]), tls)
    url = f"{'https' if tls else 'http'}://{NAME}:{server.port}/path?a=1"
    with ForwardProxy({NAME: server.port}, login="us er:p@ss") as proxy:
        answer = post(url, through(proxy, trusted, "us%20er:p%40ss"), data=b"body")

    assert (answer.status, answer.body) == (200, b"ok")
    assert proxy.asked == [f"{NAME}:{server.port}" if tls else url]
    [head] = server.heads
    assert head.startswith(b"POST /path?a=1 HTTP/1.1\r\n")
    assert f"Host: {NAME}:{server.port}".encode() in head
    assert b"Proxy-Authorization" not in head


def test_a_certificate_within_a_tunnel_must_be_for_the_name(
    play: Callable[..., ScriptedServer], trusted: Trusted
) -> None:
    server = play(Script([OK]), True)
    with (
        ForwardProxy({"other.example": server.port}) as proxy,
        pytest.raises(NoResponse, match=r"^the certificate is not valid: Hostname mismatch"),
    ):
        post("https://other.example", through(proxy, trusted))
    assert server.heads == []


@pytest.mark.parametrize(
    ("scheme", "login", "status", "reason"),
    [
        ("https", "a:b", 0, "HTTP 407: it wants another user and password"),
        ("http", "a:b", 0, "HTTP 407: it wants another user and password"),
        ("https", "", 503, "HTTP 503 instead of a tunnel"),
        ("https", "", 302, "HTTP 302 instead of a tunnel"),
    ],
)
def test_a_fault_of_the_proxy_is_named_as_its_own(
    trusted: Trusted, scheme: str, login: str, status: int, reason: str
) -> None:
    with ForwardProxy({}, login=login, status=status) as proxy:
        with pytest.raises(NoResponse) as caught:
            post(f"{scheme}://{NAME}/", through(proxy, trusted, "wrong:s3cret"))
        named = f"the proxy 127.0.0.1:{proxy.port} of OUTBOUND_PROXY: {reason}"
        assert str(caught.value) == named


@pytest.mark.parametrize(
    ("host", "reason"),
    [
        ("127.0.0.1:1", "the connection failed: Connection refused"),
        ("proxy.invalid:3128", "the host name could not be resolved"),
    ],
)
def test_a_proxy_that_is_away_is_named(host: str, reason: str) -> None:
    egress = Egress(parse_proxy("OUTBOUND_PROXY", f"http://user:secret@{host}"))
    with pytest.raises(NoResponse) as caught:
        post(f"https://{NAME}/", egress)
    assert str(caught.value) == f"the proxy {host} of OUTBOUND_PROXY: {reason}"


@pytest.mark.parametrize(
    "url",
    [
        *("proxy:3128", "https://proxy:3128", "http://proxy", "http://proxy:0", "http://:3128"),
        *("http://proxy:65536", "http://a@b@proxy:1", "http://proxy:1/path", "http://p%:q@proxy:1"),
    ],
)
def test_a_proxy_that_cannot_be_meant_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match=r"http://|the port"):
        parse_proxy("OUTBOUND_PROXY", url)


def test_a_proxy_may_be_an_ipv6_address() -> None:
    assert parse_proxy("P", "http://[2a00::1]:3128/").address == "[2a00::1]:3128"
