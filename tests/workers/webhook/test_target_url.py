"""Nothing goes where a webhook has no business; what may be reached is reached, and only that."""

from __future__ import annotations

import ipaddress
import ssl
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
import trustme

from common.config.network_kinds import Network, networks
from common.errors import LimitReached
from common.remote.http.name_lookup import MOST_LOOK_UPS, NameUnknown, system_resolver
from devservers.child_processes import PATIENCE, free_port, poll_until
from devservers.standins.webhook_receiver import WebhookReceiver
from tests.workers.webhook.hostile_urls import hostile_urls
from workers.webhook.http_delivery.delivery_client import DeliveryClient, ReceiverReply
from workers.webhook.http_delivery.private_networks import refusal
from workers.webhook.http_delivery.ssrf_guard import SsrfGuard
from workers.webhook.http_delivery.target_url import TargetUrl, TargetUrlRefused, parse

LOOPBACK = (ipaddress.ip_network("127.0.0.0/8"), ipaddress.ip_network("::1/128"))
NAME = "hooks.example"

_calls: list[str] | None = None


def _note_calls(event: str, arguments: tuple[Any, ...]) -> None:
    if _calls is not None and event in ("socket.connect", "socket.sendto", "socket.sendmsg"):
        _calls.append(f"{event} {arguments[1]}")


sys.addaudithook(_note_calls)


@contextmanager
def watched_sockets() -> Iterator[list[str]]:
    """Every connect and sendto of this process within the block, of any thread."""
    global _calls
    _calls = []
    try:
        yield _calls
    finally:
        _calls = None


def client(*addresses: str, allowed: Sequence[Network] = LOOPBACK) -> DeliveryClient:
    """One for which every name has these addresses."""
    return DeliveryClient(SsrfGuard(tuple(allowed), resolve=lambda host: addresses), timeout=5.0)


def post(client: DeliveryClient, url: str) -> ReceiverReply:
    return client.post(url, {"Content-Type": "application/json"}, b'{"a": 1}')


def test_of_over_400_hostile_urls_none_gets_a_byte_out() -> None:
    port = free_port()
    with WebhookReceiver(port=port) as receiver, WebhookReceiver(host="::1", port=port) as ipv6:
        urls = hostile_urls(port)
        careful = client("127.0.0.1", allowed=())
        with watched_sockets() as calls:
            replies = {url: post(careful, url) for url in urls}

        assert len(urls) >= 400
        assert [url for url, reply in replies.items() if not reply.refused] == []
        assert calls == []
        assert (receiver.connections, ipv6.connections) == (0, 0)
        for url, reply in replies.items():
            assert reply.status == 0
            assert reply.error.startswith("refused: ")
            assert len(url) < 5 or url not in reply.error
        assert not any("secret" in reply.error for reply in replies.values())

        with watched_sockets() as calls:  # what was listening would have noticed
            assert post(client("127.0.0.1"), receiver.url).status == 200
            assert post(client("127.0.0.1"), ipv6.url).status == 200
        assert len(calls) == 2
        assert (receiver.connections, ipv6.connections) == (1, 1)


@pytest.mark.parametrize("spelling", ["2130706433", "0x7f.1", "127.1", "0177.0.0.1", "localhost"])
def test_what_the_systems_own_resolver_takes_for_loopback_is_refused(
    receiver: WebhookReceiver, spelling: str
) -> None:
    with watched_sockets() as calls:
        careful = DeliveryClient(SsrfGuard(), timeout=5.0)  # with the system's resolver
        reply = post(careful, f"http://{spelling}:{receiver.port}/")

    assert reply.refused
    assert (calls, receiver.connections) == ([], 0)


@pytest.mark.parametrize(
    ("addresses", "reason"),
    [
        ("10.0.0.7", "the host name leads to 10.0.0.7, which is private"),
        ("169.254.169.254", "link-local, where clouds serve metadata"),
        ("fe80::1%eth0", "link-local"),
        ("::ffff:10.0.0.7", "IPv4 inside IPv6"),
        ("64:ff9b::a00:7", "IPv4 inside IPv6"),
        # One address that is not public spoils the name, wherever it stands.
        ("127.0.0.1 10.0.0.7", "10.0.0.7"),
        ("10.0.0.7 127.0.0.1", "10.0.0.7"),
    ],
)
def test_every_address_of_a_name_must_be_allowed(
    receiver: WebhookReceiver, addresses: str, reason: str
) -> None:
    with watched_sockets() as calls:
        careful = client(*addresses.split(), allowed=LOOPBACK[:1])
        reply = post(careful, f"http://{NAME}:{receiver.port}/")

    assert reply.refused
    assert reason in reply.error
    assert calls == []


def test_a_name_that_leads_elsewhere_a_moment_later_changes_nothing() -> None:
    asked: list[str] = []

    def rebinding(host: str) -> list[str]:
        asked.append(host)
        return ["127.0.0.2"] if len(asked) == 1 else ["127.0.0.1"]

    port = free_port()
    with (
        WebhookReceiver(host="127.0.0.2", port=port) as first,
        WebhookReceiver(host="127.0.0.1", port=port) as later,
    ):
        allowed = (ipaddress.ip_network("127.0.0.2/32"),)
        careful = DeliveryClient(SsrfGuard(allowed, resolve=rebinding), timeout=5.0)

        one = post(careful, f"http://{NAME}:{port}/hook")
        other = post(careful, f"http://{NAME}:{port}/hook")

        assert (one.status, other.refused) == (200, True)
        assert asked == [NAME, NAME]  # once each: what was checked is what was connected to
        assert [request.headers["host"] for request in first.received] == [f"{NAME}:{port}"]
        assert later.connections == 0


def test_the_next_address_is_tried_where_one_does_not_answer(receiver: WebhookReceiver) -> None:
    careful = client("127.0.0.9", "127.0.0.1")

    assert post(careful, f"http://{NAME}:{receiver.port}/").status == 200


def test_a_proxy_of_the_environment_is_ignored(
    receivers: list[WebhookReceiver], monkeypatch: pytest.MonkeyPatch
) -> None:
    receiver, proxy = receivers[:2]
    for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, proxy.url)

    assert post(client("127.0.0.1"), f"http://{NAME}:{receiver.port}/").status == 200
    assert (len(receiver.received), proxy.connections) == (1, 0)


@pytest.mark.parametrize("addresses", [[], ["never"]])
def test_a_name_without_an_address_is_a_failure(
    addresses: list[str], uncaught: list[threading.ExceptHookArgs]
) -> None:
    def unknown(host: str) -> list[str]:
        if addresses:
            raise OSError("nodename nor servname provided")
        return []

    reply = post(DeliveryClient(SsrfGuard(resolve=unknown), timeout=5.0), f"https://{NAME}/")

    assert "host name" in reply.error
    assert (reply.status, reply.refused, uncaught) == (0, False, [])


def test_a_name_server_that_does_not_answer_costs_no_more_than_the_timeout() -> None:
    released = threading.Event()

    def silent(host: str) -> list[str]:
        released.wait(60)
        return ["127.0.0.1"]

    try:
        reply = post(DeliveryClient(SsrfGuard(resolve=silent), timeout=0.3), f"http://{NAME}/")
    finally:
        released.set()

    assert reply.error == "the host name was not resolved in time"
    assert reply.seconds < 10


def test_look_ups_without_end_are_limited_and_blamed_on_no_webhook() -> None:
    released, begun = threading.Event(), list[str]()

    def silent(host: str) -> list[str]:
        begun.append(host)
        released.wait(60)
        return ["127.0.0.1"]

    careful = SsrfGuard(LOOPBACK, resolve=silent)
    try:
        while len(begun) < MOST_LOOK_UPS:
            with suppress(NameUnknown, LimitReached):
                careful.addresses(NAME, 0.001)
        with pytest.raises(LimitReached, match="see the name server"):
            DeliveryClient(careful, timeout=5.0).post(f"http://{NAME}/", {}, b"")
    finally:
        released.set()
    assert poll_until(lambda: threading.active_count() < MOST_LOOK_UPS, PATIENCE)
    assert [str(one) for one in careful.addresses(NAME, PATIENCE)] == ["127.0.0.1"]


def test_the_systems_resolver_finds_names_and_reports_what_it_does_not_find() -> None:
    assert set(system_resolver("localhost")) <= {"127.0.0.1", "::1"}
    guard = SsrfGuard(LOOPBACK)
    with pytest.raises(NameUnknown, match="could not be resolved"):
        guard.addresses("a" * 64, 5.0)  # a label that is too long


class Authority:
    """A certificate authority of this test's own, and receivers with its certificates."""

    def __init__(self) -> None:
        self._authority = trustme.CA()
        self.names: list[str | None] = []

    def receiver(self, name: str) -> WebhookReceiver:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._authority.issue_cert(name).configure_cert(context)
        context.sni_callback = lambda connection, name, _: self.names.append(name)
        return WebhookReceiver(tls=context)

    def save(self, path: Path) -> str:
        self._authority.cert_pem.write_to_path(str(path))
        return str(path)


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority()


@pytest.fixture
def trusted(authority: Authority, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", authority.save(tmp_path / "ca.pem"))


@pytest.mark.usefixtures("trusted")
def test_tls_goes_to_the_checked_address_under_the_hosts_name(authority: Authority) -> None:
    authority.names.clear()
    with authority.receiver(NAME) as receiver:
        reply = post(client("127.0.0.1"), f"https://{NAME}:{receiver.port}/hook?a=1")

    assert reply.status == 200, reply.error
    assert authority.names == [NAME]
    [request] = receiver.received
    assert (request.path, request.headers["host"]) == ("/hook?a=1", f"{NAME}:{receiver.port}")


@pytest.mark.usefixtures("trusted")
@pytest.mark.parametrize("host", ["other.example", "127.0.0.1"])
def test_nothing_is_sent_to_a_certificate_of_another_name(authority: Authority, host: str) -> None:
    assert "mismatch" in refused_certificate(authority, host)


def test_nothing_is_sent_to_a_certificate_of_an_unknown_authority(authority: Authority) -> None:
    assert "mismatch" not in refused_certificate(authority, NAME)


def refused_certificate(authority: Authority, host: str) -> str:
    """Why a receiver with a certificate for NAME gets nothing that is meant for ``host``."""
    with authority.receiver(NAME) as receiver:
        reply = post(client("127.0.0.1"), f"https://{host}:{receiver.port}/hook")

    assert receiver.received == []
    assert reply.error.startswith("the certificate is not valid: ")
    return reply.error


def test_tls_to_a_server_without_it_fails(receiver: WebhookReceiver) -> None:
    reply = post(client("127.0.0.1"), receiver.url.replace("http:", "https:"))

    assert reply.error.startswith("TLS failed: ")


@pytest.mark.parametrize(
    ("url", "destination", "host_header"),
    [
        ("http://a.example", TargetUrl("http", "a.example", 80, "/"), "a.example"),
        ("https://a.example", TargetUrl("https", "a.example", 443, "/"), "a.example"),
        ("HTTPS://A.Example:443/", TargetUrl("https", "a.example", 443, "/"), "a.example"),
        ("http://a.example:443", TargetUrl("http", "a.example", 443, "/"), "a.example:443"),
        ("http://a?x=1", TargetUrl("http", "a", 80, "/?x=1"), "a"),
        ("http://a/p?q=a@b:c#f", TargetUrl("http", "a", 80, "/p?q=a@b:c"), "a"),
        ("http://a/%2e%2E//x", TargetUrl("http", "a", 80, "/%2e%2E//x"), "a"),
        ("http://a/größe?ü", TargetUrl("http", "a", 80, "/gr%C3%B6%C3%9Fe?%C3%BC"), "a"),
        ("http://8.8.8.8:81/", TargetUrl("http", "8.8.8.8", 81, "/"), "8.8.8.8:81"),
        ("http://[2A00::1]/", TargetUrl("http", "2a00::1", 80, "/"), "[2a00::1]"),
        ("http://[2a00::1]:81", TargetUrl("http", "2a00::1", 81, "/"), "[2a00::1]:81"),
        ("http://xn--hks-sna_1.1a/", TargetUrl("http", "xn--hks-sna_1.1a", 80, "/"), None),
        ("http://1.example.0xg/", TargetUrl("http", "1.example.0xg", 80, "/"), None),
    ],
)
def test_a_plain_url_is_taken_apart(
    url: str, destination: TargetUrl, host_header: str | None
) -> None:
    assert parse(url) == destination
    assert parse(url).host_header == (host_header or destination.host)


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("http://user:secret%@a.example/", "user or password is not percent-encoded"),
        ("http://secret@b@a.example/", "user or password is not percent-encoded"),
        ("http://sécret@a.example/", "user or password is not percent-encoded"),
        ("ftp://a.example/", "not an http or https URL"),
        ("http\u017f://a.example/", "not an http or https URL"),
        ("http:///a", "no host"),
        ("http://a.example./", "ends in a dot"),
        ("http://ä.example/", "its xn-- form would do"),
        ("http://a b/", "a blank"),
        ("http://a\\b/", "backslash"),
        ("http://a..b/", "malformed"),
        ("http://[::1/", "malformed"),
        ("http://127.1/", "odd spelling"),
        ("http://256.0.0.1/", "odd spelling"),
        ("http://a.example.0x7f/", "odd spelling"),
        ("http://[::g]/", "not an IPv6 address"),
        ("http://[fe80::1%25lo]/", "names a network interface"),
        ("http://a:0/", "port"),
        ("http://a:/", "port"),
    ],
)
def test_the_reason_for_a_refused_url_does_not_repeat_the_url(url: str, reason: str) -> None:
    with pytest.raises(TargetUrlRefused, match=reason) as refused:
        parse(url)
    assert "secret" not in str(refused.value)


# The first and the last address of each network that no receiver can be in.
NOT_PUBLIC = """
    0.0.0.0 0.255.255.255 10.0.0.0 10.255.255.255 100.64.0.0 100.127.255.255
    127.0.0.0 127.255.255.255 168.63.129.16 169.254.0.0 169.254.255.255
    172.16.0.0 172.31.255.255 192.0.0.0 192.0.0.255 192.0.2.0 192.0.2.255
    192.88.99.0 192.88.99.255 192.168.0.0 192.168.255.255 198.18.0.0 198.19.255.255
    198.51.100.0 198.51.100.255 203.0.113.0 203.0.113.255 224.0.0.0 239.255.255.255
    240.0.0.0 255.255.255.255
    :: ::1 ::ffff:ffff ::ffff:0:0 ::ffff:ffff:ffff ::ffff:0:8.8.8.8 64:ff9b:: 64:ff9b::ffff:ffff
    64:ff9b:1:: 64:ff9b:1:ffff:ffff:ffff:ffff:ffff 100:: 1fff:ffff:: 2001:: 2001:0:ffff::
    2001:2:: 2001:1ff:ffff:: 2001:db8:: 2001:db8:ffff:: 2002:: 2002:ffff:ffff:: 3fff:: 3fff:fff::
    4000:: 5f00:: fbff:ffff:: fc00:: fdff:ffff:: fe80:: febf:ffff:: fec0:: feff:ffff::
    ff00:: ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff
    2a00:1450:4001::5efe:0:0 2a00:1450:4001:ffff:0:5efe:ffff:ffff 2a00:1450:4001::200:5efe:0808:0808
"""


@pytest.mark.parametrize("text", NOT_PUBLIC.split())
def test_a_special_network_is_refused_from_its_first_address_to_its_last(text: str) -> None:
    assert refusal(ipaddress.ip_address(text))


PUBLIC = """
    1.1.1.1 8.8.8.8 9.255.255.255 11.0.0.0 100.63.255.255 100.128.0.0 126.255.255.255 128.0.0.0
    168.63.129.15 168.63.129.17 169.253.255.255 169.255.0.0 172.15.255.255 172.32.0.0
    191.255.255.255 192.0.1.0 192.0.3.0 192.88.98.255 192.88.100.0 192.167.255.255 192.169.0.0
    198.17.255.255 198.20.0.0 198.51.99.255 198.51.101.0 203.0.112.255 203.0.114.0
    223.255.255.255 2001:200:: 2001:db7:ffff:: 2001:db9:: 2003:: 2606:4700:4700::1111
    2a00:1450:4001::5eff:0:0 2a00:1450:4001::5efd:1 3ffe:ffff:: 3fff:1000::
"""


@pytest.mark.parametrize("text", PUBLIC.split())
def test_what_lies_beside_a_special_network_is_public(text: str) -> None:
    assert refusal(ipaddress.ip_address(text)) == ""


def test_an_opened_network_opens_nothing_else() -> None:
    opened = (ipaddress.ip_network("10.1.0.0/16"), ipaddress.ip_network("fd00::/8"))

    assert refusal(ipaddress.ip_address("10.1.255.255"), opened) == ""
    assert refusal(ipaddress.ip_address("fd00::1"), opened) == ""
    assert refusal(ipaddress.ip_address("10.2.0.0"), opened) == "private"
    assert refusal(ipaddress.ip_address("fc00::1"), opened) == "private"
    assert "mapped" in refusal(ipaddress.ip_address("::ffff:10.1.0.1"), opened)


NETWORKS = networks("NETWORKS", "", "")


def test_networks_are_read_as_an_operator_writes_them() -> None:
    assert NETWORKS.parse("") == ()
    assert NETWORKS.parse("10.1.0.0/16, fd12::/32,\t10.9.9.9") == tuple(
        map(ipaddress.ip_network, ("10.1.0.0/16", "fd12::/32", "10.9.9.9/32"))
    )


@pytest.mark.parametrize(
    ("texts", "reason"),
    [
        ((",", "10.0.0.0/8,", ",10.0.0.0/8", " "), "empty"),
        (("10.0.0.1/8", "10.0.0.0/33", "10.0.0", "10", "localhost", "::/129"), "no network"),
        (("10.0.0.0/8 172.16.0.0/12", "010.0.0.0/8", "\u0661.0.0.0/8"), "no network"),
        (("fe80::%eth0/64",), "interface"),
    ],
)
def test_a_wrong_network_is_refused_with_its_reason(texts: tuple[str, ...], reason: str) -> None:
    for text in texts:
        with pytest.raises(ValueError, match=reason):
            NETWORKS.parse(text)
