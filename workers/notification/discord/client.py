"""Discord's API for webhooks, version 10: post one embed, and interpret the reply.

A webhook's URL is a secret: it is enough to post. It appears in no text that this module returns
or raises, even if the reply repeats it.
"""

import ipaddress
import json
import re
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from common import http, metrics
from common.logging.redaction import redact, tokens
from common.remote import retry_after
from workers.notification.discord.rate_limits import Bucket

TIMEOUT_SECONDS = 10.0
BODY_BYTES = 10 * 1024
# The reply has the complete message, its embed of up to 6,000 characters escaped, and its id.
_MOST_BYTES = 256 * 1024

# For a 429 without a time. Discord's edge bans an address in this way, for minutes or more.
DEFAULT_RETRY_SECONDS = 60.0
_LONGEST_SECONDS = 7 * 86_400.0

_DELIVERED = (200, 204)
_PERMANENT = (401, 404)

_PATH = re.compile(r"/api/(?:v\d+/)?(?P<webhook>webhooks/[^/]+/(?P<token>[^/]+))/?")
# Discord's tokens have 68 characters; hiding a much shorter one would hide parts of common words.
_SHORTEST_TOKEN = 8


class UnusableUrl(Exception):
    """A channel's URL is not allowed; the message has the reason, without the URL."""


@dataclass(frozen=True, slots=True)
class Webhook:
    """Where to post; both are secret."""

    url: str = field(repr=False)
    token: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class SendResult:
    """One attempt to deliver, as it is recorded. ``status`` is 0 without a reply, ``error`` is
    empty on success; ``permanent`` means that this webhook will not work again."""

    status: int = 0
    error: str = ""
    body: str = ""
    message_id: str = ""
    milliseconds: int = 0
    permanent: bool = False


@dataclass(frozen=True, slots=True)
class RateLimited:
    """Rate limited (429): no request for ``seconds``, to this webhook or, with ``everywhere``, to
    any webhook from this address."""

    seconds: float
    everywhere: bool


@dataclass(frozen=True, slots=True)
class DiscordReply:
    """The outcome of one request that ended ``at`` this time of the monotonic clock."""

    outcome: SendResult | RateLimited
    bucket: Bucket | None
    at: float


def webhook(url: str, *, allow_loopback_http: bool) -> Webhook:
    """Turn a channel's URL into the one to post to: API version 10, ``wait=true``.

    Discord's UI shows URLs without a version, which means version 6 and other units of time.
    Query parameters such as ``thread_id`` stay. Any host is allowed, as in the live service
    (relays exist), if the path is that of a Discord webhook. Raises UnusableUrl.
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
    """Posts to webhooks; safe to share between threads, each has its own connection."""

    def __init__(self) -> None:
        self._thread = threading.local()
        self._clients: list[http.Client] = []

    def post(self, webhook: Webhook, embed: Mapping[str, Any]) -> DiscordReply:
        """Send one embed, without mentions; remote failures are in the reply, not raised."""
        started = time.monotonic()
        try:
            with metrics.remote_call("notification", "discord") as outcome:
                response = self._client().request(
                    "POST",
                    webhook.url,
                    seconds=TIMEOUT_SECONDS,
                    most_bytes=_MOST_BYTES,
                    json={"embeds": [embed], "allowed_mentions": {"parse": []}},
                )
                outcome(metrics.http_outcome(response.status))
        except http.NoResponse as error:
            at = time.monotonic()
            return DiscordReply(
                SendResult(error=str(error), milliseconds=round((at - started) * 1000)), None, at
            )
        at = time.monotonic()
        return DiscordReply(
            _outcome(response, webhook, at - started), _bucket(response.headers), at
        )

    def close(self) -> None:
        """Close all connections, also those with a request in flight."""
        for client in list(self._clients):
            client.close()

    def _client(self) -> http.Client:
        if not hasattr(self._thread, "client"):
            self._thread.client = http.Client()
            self._clients.append(self._thread.client)
        client: http.Client = self._thread.client
        return client


def _outcome(response: http.Response, webhook: Webhook, seconds: float) -> SendResult | RateLimited:
    body = _json(response.body)
    if response.status == 429:
        return _rate_limited(response, body)
    delivered = response.status in _DELIVERED
    error = "" if delivered else _without_secrets(_error(response.status, body), webhook)[:500]
    text = _without_secrets(response.body.decode("utf-8", "replace"), webhook)
    return SendResult(
        status=response.status,
        error=error,
        body=text.encode()[:BODY_BYTES].decode("utf-8", "ignore"),
        message_id=_message_id(body, webhook) if delivered else "",
        milliseconds=round(seconds * 1000),
        # A 403 is not permanent: most come from Discord's edge (1010, 40333), not from the
        # webhook, and a missing permission on the server can be granted again.
        permanent=response.status in _PERMANENT,
    )


def _rate_limited(response: http.Response, body: Mapping[str, Any]) -> RateLimited:
    """Read how long to wait after a 429, and for which webhooks: body first, then headers."""
    waits = (
        body.get("retry_after"),
        response.headers.get("Retry-After"),
        response.headers.get("X-RateLimit-Reset-After"),
    )
    now = datetime.now(UTC)
    read = (retry_after.seconds(wait, now, most=_LONGEST_SECONDS) for wait in waits)
    seconds = next((value for value in read if value is not None), None)
    everywhere = (
        body.get("global") is True
        or response.headers.get("X-RateLimit-Global", "").lower() == "true"
        or response.headers.get("X-RateLimit-Scope", "").lower() == "global"
        # Not from the API, but from its edge, which counts addresses, not webhooks.
        or response.headers.get("Content-Type", "").startswith("text/html")
        or seconds is None
    )
    return RateLimited(DEFAULT_RETRY_SECONDS if seconds is None else seconds, everywhere)


def _bucket(headers: Mapping[str, str]) -> Bucket | None:
    remaining = retry_after.number(headers.get("X-RateLimit-Remaining"))
    reset_after = retry_after.number(headers.get("X-RateLimit-Reset-After"))
    if remaining is None or reset_after is None:
        return None
    return Bucket(int(remaining), min(reset_after, _LONGEST_SECONDS))


def _json(body: bytes) -> Mapping[str, Any]:
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def _error(status: int, body: Mapping[str, Any]) -> str:
    message, code = body.get("message"), body.get("code")
    # The code may be any JSON value, nested too deep to be written.
    number = f" (code {code})" if isinstance(code, str | int) else ""
    detail = f": {message}{number}" if isinstance(message, str) else ""
    return " ".join(f"HTTP {status}{detail}".split())


def _message_id(body: Mapping[str, Any], webhook: Webhook) -> str:
    value = body.get("id")
    message_id = str(value) if isinstance(value, str | int) else ""
    is_valid = re.fullmatch(r"[0-9A-Za-z_-]{1,255}", message_id)
    return _without_secrets(message_id, webhook) if is_valid else ""


def _without_secrets(text: str, webhook: Webhook) -> str:
    token = [webhook.token] if len(webhook.token) >= _SHORTEST_TOKEN else []
    hidden = redact(text, *token, *tokens(urlsplit(webhook.url).query))
    # PostgreSQL's text holds neither NUL nor lone surrogates, and JSON can contain both.
    return hidden.replace("\x00", "").encode("utf-8", "replace").decode()


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
