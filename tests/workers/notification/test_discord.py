"""The Discord client: where it posts, what it sends, and how it reads every kind of answer."""

from __future__ import annotations

import logging
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress

import pytest

from devservers.standins.discord import DiscordServer
from devservers.standins.discord_answers import (
    BAD_GATEWAY,
    EDGE_BLOCK,
    INVALID_TOKEN,
    UNKNOWN_WEBHOOK,
    Reply,
    Stall,
    edge_ban,
    rate_limited,
)
from workers.notification.discord import client
from workers.notification.discord.client import Discord
from workers.notification.discord.message import Message
from workers.notification.discord.rate_limits import MARGIN, Bucket, ChannelLimits
from workers.notification.discord.reply import DiscordReply, RateLimited, SendResult
from workers.notification.discord.webhook import UnusableUrl, Webhook, webhook

TOKEN = "Zm9vYmFy-planted_token_of_a_webhook-c2VjcmV0"
EMBED = {
    "title": "t",
    "description": "d",
    "color": 1,
    "timestamp": "2024-02-29T12:00:00Z",
    "footer": {"text": "Event ID: e1"},
    "fields": [{"name": "n", "value": "v", "inline": True}],
}


class Posting:
    """The client, and the stand-in to which it posts."""

    def __init__(self, server: DiscordServer) -> None:
        self.server, self.client = server, Discord()

    def reply(self, *answers: Reply | Stall) -> DiscordReply:
        """Post once to a webhook that gives this answer."""
        self.server.order("1", *answers)
        return self._post(self.server.webhook_url("1", TOKEN))

    def attempt(self, *answers: Reply | Stall) -> SendResult:
        return _attempt(self.reply(*answers))

    def attempt_at(self, url: str) -> SendResult:
        return _attempt(self._post(url))

    def _post(self, url: str) -> DiscordReply:
        return self.client.post(Message(_target(url), EMBED))


def _target(url: str) -> Webhook:
    return webhook(url, allow_loopback_http=True)


def _attempt(reply: DiscordReply) -> SendResult:
    assert isinstance(reply.outcome, SendResult)
    return reply.outcome


@pytest.fixture
def posting(server: DiscordServer) -> Iterator[Posting]:
    posting = Posting(server)
    yield posting
    posting.client.close()


@contextmanager
def raw_server(reply: bytes, then: bytes = b"") -> Iterator[str]:
    """A server that replies with these bytes, and then with others for ever; its URL."""

    def accept() -> None:
        with suppress(OSError):
            while True:
                connection, _ = listener.accept()
                with connection, suppress(OSError):
                    serve(connection)

    def serve(connection: socket.socket) -> None:
        while connection.recv(65536) and reply:
            connection.sendall(reply)
            while then:
                connection.sendall(then)
                time.sleep(0.05)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=accept, daemon=True).start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/api/webhooks/1/{TOKEN}"
        listener.shutdown(socket.SHUT_RDWR)


@pytest.mark.parametrize(
    ("given", "called"),
    [
        ("https://discord.com/api/webhooks/1/t", "discord.com/api/v10/webhooks/1/t?wait=true"),
        ("https://discord.com/api/v6/webhooks/1/t", "discord.com/api/v10/webhooks/1/t?wait=true"),
        (
            "https://ptb.discord.com/api/v10/webhooks/1/t/?thread_id=5&wait=false#x",
            "ptb.discord.com/api/v10/webhooks/1/t?thread_id=5&wait=true",
        ),
        (
            " https://relay.example:8443/api/webhooks/1/t\n",
            "relay.example:8443/api/v10/webhooks/1/t?wait=true",
        ),
    ],
)
def test_a_url_leads_to_version_10_and_waits(given: str, called: str) -> None:
    assert webhook(given, allow_loopback_http=False).url == f"https://{called}"


@pytest.mark.parametrize(
    "given",
    [
        "",
        "http://discord.com/api/webhooks/1/TOKENTOKEN",
        "http://127.0.0.1/api/webhooks/1/TOKENTOKEN",
        "HTTP://discord.com/api/webhooks/1/TOKENTOKEN",
        "file:///api/webhooks/1/TOKENTOKEN",
        "//discord.com/api/webhooks/1/TOKENTOKEN",
        "https:///api/webhooks/1/TOKENTOKEN",
        "https://[::1/api/webhooks/1/TOKENTOKEN",
        "https://disc ord.com/api/webhooks/1/TOKENTOKEN",
        "https://*.discord.com/api/webhooks/1/TOKENTOKEN",
        "https://user:TOKENTOKEN@discord.com/api/webhooks/1/TOKENTOKEN",
        "https://discord.com/api/webhooks/1/TOKENTOKEN/slack",
        "https://discord.com/api/webhooks/1",
        "https://discord.com/TOKENTOKEN",
    ],
)
def test_any_other_url_is_refused_without_repeating_it(given: str) -> None:
    with pytest.raises(UnusableUrl) as refusal:
        webhook(given, allow_loopback_http=False)
    assert "TOKENTOKEN" not in str(refusal.value)


@pytest.mark.parametrize(
    ("host", "is_allowed"),
    [
        *((host, True) for host in ("127.0.0.1", "localhost", "[::1]", "127.8.8.8")),
        *((host, False) for host in ("discord.com", "10.0.0.1", "localhost.example", "0.0.0.0")),
    ],
)
def test_http_is_allowed_to_loopback_by_the_setting_alone(host: str, is_allowed: bool) -> None:
    url = f"http://{host}:9900/api/webhooks/1/t"
    if is_allowed:
        assert _target(url).url.startswith(f"http://{host}:9900/api/v10/")
    else:
        with pytest.raises(UnusableUrl, match="not https"):
            _target(url)
    with pytest.raises(UnusableUrl, match="not https"):
        webhook(url, allow_loopback_http=False)


def test_a_message_is_posted_and_its_id_read(posting: Posting) -> None:
    reply = posting.reply()
    [request] = posting.server.requests
    assert request.target == f"/api/v10/webhooks/1/{TOKEN}?wait=true"
    assert request.headers["User-Agent"].startswith("toast-workers/")
    assert request.body == {"embeds": [EMBED], "allowed_mentions": {"parse": []}}
    delivered = _attempt(reply)
    assert (delivered.status, delivered.error) == (200, "")
    assert delivered.message_id.isdigit()
    assert f'"id": "{delivered.message_id}"' in delivered.body
    assert reply.bucket == Bucket(4, 2.0)


def test_a_connection_is_used_again(posting: Posting) -> None:
    with raw_server(b"HTTP/1.1 204 No Content\r\n\r\n") as url:  # one connection at a time
        assert [posting.attempt_at(url).status for _ in range(2)] == [204, 204]


HTML = {"Content-Type": "text/html"}
UNAUTHORIZED = {"message": "401: Unauthorized", "code": 0}
GONE, ITS_OWN, AWAY = (True, False), (False, False), (False, True)


@pytest.mark.parametrize(
    ("answer", "error", "meaning"),
    [
        (UNKNOWN_WEBHOOK, "HTTP 404: Unknown Webhook (code 10015)", GONE),
        (INVALID_TOKEN, "HTTP 401: Invalid Webhook Token (code 50027)", GONE),
        (Reply(404, {"message": "Unknown Channel", "code": 10003}), None, ITS_OWN),
        (Reply(401, UNAUTHORIZED), "HTTP 401: 401: Unauthorized (code 0)", ITS_OWN),
        (Reply(403, {"message": "Missing Permissions", "code": 50013}), None, ITS_OWN),
        (Reply(400, {"message": "No\nForm", "code": 1}), "HTTP 400: No Form (code 1)", ITS_OWN),
        (Reply(400, {"message": "no", "code": [[1]]}), "HTTP 400: no", ITS_OWN),
        # Not from the API, but from its edge, or from a proxy on the way.
        (Reply(404, "<html>nginx 404</html>", HTML), "HTTP 404", AWAY),
        (Reply(404, {"code": 404, "message": "no page"}), "HTTP 404: no page (code 404)", AWAY),
        (Reply(401, {"code": True, "message": "log in"}), None, AWAY),
        (Reply(401, "<html>login</html>", HTML), "HTTP 401", AWAY),
        (Reply(407, "", HTML), "HTTP 407", AWAY),
        (EDGE_BLOCK, "HTTP 403: error code: 1010", AWAY),
        (Reply(403, {"message": "internal network error", "code": 40333}), None, AWAY),
        (Reply(302, "", {"Location": "/api/v10/webhooks/2/other"}), "HTTP 302", AWAY),
        (BAD_GATEWAY, "HTTP 502", AWAY),
        (Reply(500, "[" * 50_000), "HTTP 500", AWAY),
    ],
)
def test_what_a_failure_says_about_the_webhook(
    posting: Posting, answer: Reply, error: str | None, meaning: tuple[bool, bool]
) -> None:
    failed = posting.attempt(answer)
    assert failed.status == answer.status
    assert failed.error == error if error else failed.error.startswith(f"HTTP {answer.status}: ")
    assert (failed.permanent, failed.away) == meaning
    assert failed.message_id == ""
    assert len(posting.server.requests) == 1  # a redirect is not followed


@pytest.mark.parametrize(
    "answer",
    [
        Reply(200, '{"id": "77'),
        Reply(200, " "),
        Reply(200, '{"id": {"a": 1}}'),
        Reply(200, '{"id": ' + "[" * 900 + "]" * 900 + "}"),
        Reply(200, '{"id": "1\\u0000"}'),
        Reply(201, "taken by a relay"),
        Reply(202),
        Reply(204),
    ],
)
def test_a_message_whose_id_cannot_be_read_is_delivered_all_the_same(
    posting: Posting, answer: Reply
) -> None:
    delivered = posting.attempt(answer)
    assert (delivered.error, delivered.message_id, delivered.away) == ("", "", False)


def test_a_long_body_is_cut_to_10_kib_at_a_character(posting: Posting) -> None:
    cut = posting.attempt(Reply(500, "x" + "€" * 1_000_000))
    assert cut.body == "x" + "€" * 3413
    assert len(cut.body.encode()) == 10 * 1024


def test_the_id_of_a_long_message_is_read(posting: Posting) -> None:
    long = Reply(200, {"embeds": "\U0001f4e2" * 6000, "id": "1234567890"})
    assert posting.attempt(long).message_id == "1234567890"


def test_what_postgresql_cannot_hold_is_taken_out(posting: Posting) -> None:
    answer = Reply(500, {"message": "a\x00b\ud800c", "code": 1})
    assert posting.attempt(answer).error == "HTTP 500: ab?c (code 1)"
    assert posting.attempt(Reply(500, "a\x00b")).body == "ab"


@pytest.mark.parametrize(
    "answer",
    [
        Reply(500, f"<a href='/api/webhooks/1/{TOKEN}'>{TOKEN}</a>"),
        Reply(400, {"message": f"bad webhook {TOKEN}", "code": 1}),
        Reply(200, {"url": f"https://discord.com/api/webhooks/1/{TOKEN}", "token": TOKEN}),
        Reply(500, "x" * (10 * 1024 - 10) + TOKEN),
    ],
)
def test_a_token_that_the_other_side_repeats_is_hidden(posting: Posting, answer: Reply) -> None:
    failed = posting.attempt(answer)
    assert TOKEN[:10] not in f"{failed.body} {failed.error}"


@pytest.mark.parametrize(
    ("answer", "seconds", "everywhere"),
    [
        (rate_limited(1.337), 1.337, False),
        (rate_limited(0), 0.0, False),
        (rate_limited(2.5, everywhere=True), 2.5, True),
        (Reply(429, {"retry_after": 2.5, "global": True}), 2.5, True),
        (Reply(429, {"retry_after": 7}, {"X-RateLimit-Global": "true"}), 7.0, True),
        (Reply(429, {"retry_after": 7}, {"X-RateLimit-Scope": "global"}), 7.0, True),
        (Reply(429, {"retry_after": 3}, {"X-RateLimit-Scope": "shared"}), 3.0, False),
    ],
)
def test_a_429_is_a_rate_limit_and_not_an_attempt(
    posting: Posting, answer: Reply, seconds: float, everywhere: bool
) -> None:
    assert posting.reply(answer).outcome == RateLimited(seconds, everywhere)


@pytest.fixture
def bare() -> Iterator[Posting]:
    """With a stand-in that sends no headers about limits."""
    with DiscordServer(limit_headers=False) as server:
        yield Posting(server)


BLOCKED = {"message": "You are being blocked", "code": 0}


@pytest.mark.parametrize(
    ("answer", "seconds"),
    [
        (edge_ban("3600"), 3600.0),
        (edge_ban(""), 60.0),
        (edge_ban("soon"), 60.0),
        (edge_ban("0"), 1.0),
        (edge_ban("999999999"), 86_400.0),
        (Reply(429, "<html>1015", {**HTML, "Retry-After": "7"}), 7.0),
        (Reply(429, BLOCKED, {"Retry-After": "900"}), 900.0),
        (Reply(429, BLOCKED), 60.0),
        (Reply(429, {"retry_after": 5}), 5.0),
        (Reply(429, {"retry_after": "-1"}, {"X-RateLimit-Limit": "5"}), 60.0),
        (Reply(429, "{broken", {"X-RateLimit-Limit": "5", "Retry-After": "7"}), 7.0),
    ],
)
def test_any_other_429_is_a_ban_of_this_address(
    bare: Posting, answer: Reply, seconds: float
) -> None:
    limit = bare.reply(answer).outcome
    assert isinstance(limit, RateLimited)
    assert (limit.seconds, limit.everywhere) == (seconds, True)
    assert limit.ban.startswith("HTTP 429")


@pytest.mark.parametrize(("asked", "seconds"), [("120", 120.0), ("", 0.0), ("9999999", 86_400.0)])
def test_a_503_may_ask_to_wait(posting: Posting, asked: str, seconds: float) -> None:
    assert posting.attempt(Reply(503, "", {"Retry-After": asked})).retry_after == seconds


def test_without_headers_there_is_no_bucket(bare: Posting) -> None:
    assert bare.reply().bucket is None


@pytest.mark.parametrize("value", ["", "x", "nan", "-1", "inf"])
def test_headers_that_are_no_numbers_are_no_bucket(posting: Posting, value: str) -> None:
    answer = Reply(500, "", {"X-RateLimit-Reset-After": value})
    assert posting.reply(answer).bucket is None


def test_a_stalled_answer_is_given_up_in_time(
    posting: Posting, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "TIMEOUT_SECONDS", 0.3)
    failed = posting.attempt(Stall())
    assert (failed.status, failed.error, failed.away) == (0, "no answer within 0.3 s", True)
    assert 300 <= failed.milliseconds < 10_000


@pytest.mark.parametrize(
    ("reply", "then", "status", "error"),
    [
        (b"HTTP/1.1 200 OK\r\n", b"X-More: to come\r\n", 200, ""),
        (b"HTTP/1.1 103 Early Hints\r\n", b"X-More: to come\r\n", 0, "no answer within 1 s"),
        (b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n", b"x", 200, ""),
        (b"", b"", 0, "the connection failed: RemoteDisconnected"),
        (b"banana\r\n\r\n", b"", 0, "the answer is not HTTP: BadStatusLine"),
    ],
)
def test_a_slow_stream_of_bytes_does_not_extend_the_deadline(
    posting: Posting,
    monkeypatch: pytest.MonkeyPatch,
    reply: bytes,
    then: bytes,
    status: int,
    error: str,
) -> None:
    monkeypatch.setattr(client, "TIMEOUT_SECONDS", 1.0)
    with raw_server(reply, then) as url:
        ended = posting.attempt_at(url)
    assert (ended.status, ended.error) == (status, error)
    assert ended.milliseconds < 10_000


def test_a_server_that_is_away_is_named_by_reason_not_by_url(posting: Posting) -> None:
    url = f"http://127.0.0.1:1/api/webhooks/1/{TOKEN}"
    assert posting.attempt_at(url).error == "the connection failed: Connection refused"


def test_closing_ends_what_is_under_way(posting: Posting) -> None:
    with ThreadPoolExecutor() as pool:
        attempt = pool.submit(posting.attempt, Stall())
        while not posting.server.requests:
            time.sleep(0.01)
        posting.client.close()
        assert attempt.result(5).status == 0


def test_no_library_logs_a_url(posting: Posting, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    posting.attempt()
    with raw_server(b"HTTP/1.1 204 No Content\r\nno header\r\n\r\n") as url:
        posting.attempt_at(url)
    assert TOKEN not in caplog.text


def test_a_webhook_never_shows_its_secrets() -> None:
    target = webhook(f"https://discord.com/api/webhooks/1/{TOKEN}", allow_loopback_http=False)
    assert TOKEN not in repr(target)


def test_the_limits_follow_the_headers_where_there_are_any() -> None:
    limits = ChannelLimits()
    for remaining in (9, 8, 7, 6, 5, 4):
        limits.count_request(100.0, Bucket(remaining, 1.5))
        assert limits.ready_at <= 100.0
    limits.count_request(100.0, Bucket(0, 1.5))
    assert limits.ready_at == 101.5 + MARGIN


def test_without_headers_the_limit_is_five_in_two_seconds() -> None:
    limits = ChannelLimits()
    for at in (100.0, 100.1, 100.2, 100.3):
        limits.count_request(at, None)
        assert limits.ready_at <= 100.3
    limits.count_request(100.4, None)
    assert limits.ready_at == 102.0 + MARGIN


def test_the_limits_allow_never_more_than_thirty_a_minute() -> None:
    limits = ChannelLimits()
    for number in range(30):
        assert limits.ready_at <= 100.0 + number
        limits.count_request(100.0 + number, Bucket(4, 2.0))
    assert limits.ready_at == 160.0 + MARGIN


def test_the_limits_count_what_an_earlier_pass_has_sent() -> None:
    earlier = [100.0 + number / 2 for number in range(29)]
    limits = ChannelLimits(earlier)
    assert limits.ready_at == 116.0 + MARGIN  # one more may have been under way
    limits.count_request(116.5, Bucket(4, 2.0))
    assert limits.ready_at == 160.0 + MARGIN
    assert limits.counted(now=160.2) == [*earlier[1:], 116.5]


def test_a_rate_limit_is_never_shortened() -> None:
    limits = ChannelLimits(quiet_until=500.0)
    limits.pause_until(200.0)
    limits.count_request(100.0, Bucket(0, 1.0))
    assert limits.ready_at == 500.0
