"""Discord's API for webhooks, version 10: post one embed, and read what the answer means.

A webhook's URL is its password: whoever knows it may post. It appears in no text that this
module returns or raises, even where the other side repeats it.
"""

import ipaddress
import json
import math
import re
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from common import http, metrics
from common.logging.redaction import redact, tokens
from workers.notification.rate_limits import Bucket

TIMEOUT_SECONDS = 10.0
BODY_BYTES = 10 * 1024
# A message comes back whole, its embed of up to 6,000 characters escaped; its id is needed.
_MOST_BYTES = 256 * 1024

# When a 429 does not say how long. Discord's edge bans an address like that, for minutes or more.
DEFAULT_RETRY_SECONDS = 60.0
_LONGEST_SECONDS = 7 * 86_400.0

_DELIVERED = (200, 204)
_PERMANENT = (401, 404)

_PATH = re.compile(r"/api/(?:v\d+/)?(?P<webhook>webhooks/[^/]+/(?P<token>[^/]+))/?")
# A shorter token is none of Discord's (68 characters), and would be a part of common words.
_SHORTEST_TOKEN = 8


class UnusableUrl(Exception):
    """A channel's URL that is not called; says why, without the URL."""


@dataclass(frozen=True, slots=True)
class Webhook:
    """Where to post; both are secret."""

    url: str = field(repr=False)
    token: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class SendResult:
    """One attempt to deliver, as it is recorded. ``status`` is 0 where no answer came, ``error``
    is empty where it succeeded; ``permanent`` means that this webhook will never work again."""

    status: int = 0
    error: str = ""
    body: str = ""
    message_id: str = ""
    milliseconds: int = 0
    permanent: bool = False


@dataclass(frozen=True, slots=True)
class RateLimited:
    """Discord took no message and wants none for so many seconds: on this webhook, or from
    this address at all."""

    seconds: float
    everywhere: bool


@dataclass(frozen=True, slots=True)
class DiscordReply:
    """What came of one request, answered or given up at this time of the monotonic clock."""

    outcome: SendResult | RateLimited
    bucket: Bucket | None
    at: float


def webhook(url: str, *, allow_loopback_http: bool) -> Webhook:
    """Turn a channel's URL into the one to post to: API version 10, ``wait=true``.

    Discord's UI hands out URLs without a version, which means its version 6 and other units of
    time. Query parameters such as ``thread_id`` stay. Any host is taken, as the live service
    takes it (relays exist), if the path is that of a Discord webhook. Raises UnusableUrl.
    """
    try:
        parts = urlsplit(url.strip())
        host = parts.hostname or ""
    except ValueError:
        raise UnusableUrl("the webhook URL is not a URL") from None
    loopback = allow_loopback_http and parts.scheme == "http" and _is_loopback(host)
    if parts.scheme != "https" and not loopback:
        raise UnusableUrl("the webhook URL is not https")
    path = _PATH.fullmatch(parts.path)
    if not host or "@" in parts.netloc or not path:
        raise UnusableUrl("the webhook URL is not that of a Discord webhook")
    query = [pair for pair in parse_qsl(parts.query) if pair[0] != "wait"]
    target = f"/api/v10/{path['webhook']}"
    return Webhook(
        urlunsplit((parts.scheme, parts.netloc, target, urlencode([*query, ("wait", "true")]), "")),
        path["token"],
    )


class Discord:
    """Posts to webhooks, from any number of threads, each with a connection of its own."""

    def __init__(self) -> None:
        self._thread = threading.local()
        self._clients: list[http.Client] = []

    def post(self, webhook: Webhook, embed: Mapping[str, Any]) -> DiscordReply:
        """Send one embed that mentions nobody; does not raise for anything remote."""
        started = time.monotonic()
        try:
            with metrics.remote_call("notification", "discord") as outcome:
                answer = self._client().request(
                    "POST",
                    webhook.url,
                    seconds=TIMEOUT_SECONDS,
                    most_bytes=_MOST_BYTES,
                    json={"embeds": [embed], "allowed_mentions": {"parse": []}},
                )
                outcome(metrics.http_outcome(answer.status))
        except http.NoResponse as error:
            at = time.monotonic()
            return DiscordReply(
                SendResult(error=str(error), milliseconds=_milliseconds(at - started)), None, at
            )
        at = time.monotonic()
        return DiscordReply(_outcome(answer, webhook, at - started), _bucket(answer.headers), at)

    def close(self) -> None:
        """Close all connections, breaking what is under way."""
        for client in list(self._clients):
            client.close()

    def _client(self) -> http.Client:
        if not hasattr(self._thread, "client"):
            self._thread.client = http.Client()
            self._clients.append(self._thread.client)
        client: http.Client = self._thread.client
        return client


def _outcome(answer: http.Response, webhook: Webhook, seconds: float) -> SendResult | RateLimited:
    body = _json(answer.body)
    if answer.status == 429:
        return _rate_limited(answer, body)
    delivered = answer.status in _DELIVERED
    error = "" if delivered else _without_secrets(_error(answer.status, body), webhook)[:500]
    text = _without_secrets(answer.body.decode("utf-8", "replace"), webhook)
    return SendResult(
        status=answer.status,
        error=error,
        body=text.encode()[:BODY_BYTES].decode("utf-8", "ignore"),
        message_id=_message_id(body, webhook) if delivered else "",
        milliseconds=_milliseconds(seconds),
        # Of a 403 nothing is permanent: most are the edge's own (1010, 40333) and say nothing
        # about the webhook; a right that is missing on the server can be given back.
        permanent=answer.status in _PERMANENT,
    )


def _rate_limited(answer: http.Response, body: Mapping[str, Any]) -> RateLimited:
    """How long a 429 wants us to wait, and whom: the body first, then the headers."""
    told = (
        body.get("retry_after"),
        answer.headers.get("Retry-After"),
        answer.headers.get("X-RateLimit-Reset-After"),
    )
    seconds = next((value for value in map(_seconds, told) if value is not None), None)
    everywhere = (
        body.get("global") is True
        or answer.headers.get("X-RateLimit-Global", "").lower() == "true"
        or answer.headers.get("X-RateLimit-Scope", "").lower() == "global"
        # Not from the API, but from its edge, which knows addresses and no webhooks.
        or answer.headers.get("Content-Type", "").startswith("text/html")
        or seconds is None
    )
    return RateLimited(DEFAULT_RETRY_SECONDS if seconds is None else seconds, everywhere)


def _bucket(headers: Mapping[str, str]) -> Bucket | None:
    remaining = _seconds(headers.get("X-RateLimit-Remaining"))
    reset_after = _seconds(headers.get("X-RateLimit-Reset-After"))
    if remaining is None or reset_after is None:
        return None
    return Bucket(int(remaining), reset_after)


def _seconds(value: object) -> float | None:
    """A number that is told, in a header or in JSON, or None if it is none."""
    if not isinstance(value, str | int | float) or isinstance(value, bool):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return min(number, _LONGEST_SECONDS) if math.isfinite(number) and number >= 0 else None


def _json(body: bytes) -> Mapping[str, Any]:
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def _error(status: int, body: Mapping[str, Any]) -> str:
    message, code = body.get("message"), body.get("code")
    # Anything may be in its place, nested deeper than can be written.
    number = f" (code {code})" if isinstance(code, str | int) else ""
    said = f": {message}{number}" if isinstance(message, str) else ""
    return " ".join(f"HTTP {status}{said}".split())


def _message_id(body: Mapping[str, Any], webhook: Webhook) -> str:
    told = body.get("id")
    message_id = str(told) if isinstance(told, str | int) else ""
    is_one = re.fullmatch(r"[0-9A-Za-z_-]{1,255}", message_id)
    return _without_secrets(message_id, webhook) if is_one else ""


def _without_secrets(text: str, webhook: Webhook) -> str:
    token = [webhook.token] if len(webhook.token) >= _SHORTEST_TOKEN else []
    hidden = redact(text, *token, *tokens(urlsplit(webhook.url).query))
    # PostgreSQL's text holds neither NUL nor half a surrogate pair, and JSON can spell both.
    return hidden.replace("\x00", "").encode("utf-8", "replace").decode()


def _milliseconds(seconds: float) -> int:
    return round(seconds * 1000)


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
