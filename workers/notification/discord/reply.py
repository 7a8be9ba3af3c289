"""What a reply to a message means: delivered, refused, rate limited, or not Discord's own.

Before Discord's API stands its edge (Cloudflare), and perhaps a proxy. Their replies look like its
own, but say nothing about the webhook: an error of the API is a JSON object with a ``code``, its
429 has ``retry_after`` and X-RateLimit headers. The codes are those of Discord's documentation,
"Opcodes and Status Codes".
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from common.remote import retry_after
from common.remote.http import client as http
from workers.notification.discord.rate_limits import Bucket
from workers.notification.discord.webhook import Webhook

BODY_BYTES = 10 * 1024

# For a 429 of the edge without a time. It bans an address for minutes, up to an hour.
DEFAULT_BAN_SECONDS = 60.0
_SHORTEST_BAN_SECONDS = 1.0
_LONGEST_BAN_SECONDS = 86_400.0
_LONGEST_SECONDS = 7 * 86_400.0

# "Unknown Webhook" and "Invalid Webhook Token".
_GONE = ((404, 10015), (401, 50027))
# "internal network error": of the edge, although it is JSON.
_EDGE_CODE = 40333
# What a proxy answers in place of the API; any other 4xx may be a relay's own.
_PROXY_STATUSES = (401, 403, 404, 407, 408)


@dataclass(frozen=True, slots=True)
class SendResult:
    """One attempt to deliver, as it is recorded. ``status`` is 0 without a reply, ``error`` is
    empty on success.

    ``permanent``: this webhook will not work again. ``away``: the API was not reached or does not
    work, which may not be the message's fault; ``retry_after`` is how many seconds it asked to
    wait.
    """

    status: int = 0
    error: str = ""
    body: str = ""
    message_id: str = ""
    milliseconds: int = 0
    permanent: bool = False
    away: bool = False
    retry_after: float = 0.0


@dataclass(frozen=True, slots=True)
class RateLimited:
    """Rate limited (429): no request for ``seconds``, to this webhook or, with ``everywhere``, to
    any webhook from this address. ``ban`` is the error if the edge has banned the address."""

    seconds: float
    everywhere: bool
    ban: str = ""


@dataclass(frozen=True, slots=True)
class DiscordReply:
    """The outcome of one request that ended ``at`` this time of the monotonic clock."""

    outcome: SendResult | RateLimited
    bucket: Bucket | None
    at: float


def outcome(response: http.Response, webhook: Webhook, seconds: float) -> SendResult | RateLimited:
    """Read a response that came after so many seconds; its texts are without secrets."""
    body = _json(response.body)
    delivered = 200 <= response.status < 300
    text = webhook.hide(response.body.decode("utf-8", "replace"))
    error = "" if delivered else webhook.hide(_error(response.status, body, text))[:500]
    if response.status == 429:
        return _rate_limited(response, body, error)
    away = not delivered and _is_away(response.status, body)
    wait = response.headers.get("Retry-After") if away else None
    return SendResult(
        status=response.status,
        error=error,
        body=text.encode()[:BODY_BYTES].decode("utf-8", "ignore"),
        message_id=_message_id(body, webhook) if delivered else "",
        milliseconds=round(seconds * 1000),
        permanent=(response.status, body.get("code")) in _GONE,
        away=away,
        retry_after=retry_after.seconds(wait, datetime.now(UTC), most=_LONGEST_BAN_SECONDS) or 0.0,
    )


def bucket(headers: Mapping[str, str]) -> Bucket | None:
    """The limits that the headers of a reply show; None if they do not."""
    remaining = retry_after.number(headers.get("X-RateLimit-Remaining"))
    reset_after = retry_after.number(headers.get("X-RateLimit-Reset-After"))
    if remaining is None or reset_after is None:
        return None
    return Bucket(int(remaining), min(reset_after, _LONGEST_SECONDS))


def _is_away(status: int, body: Mapping[str, Any]) -> bool:
    """Whether an error says that the API does not work, or is not its own."""
    code = body.get("code")
    if status < 400 or status >= 500 or code == _EDGE_CODE:
        return True
    return status in _PROXY_STATUSES and not _is_discords(code)


def _is_discords(code: object) -> bool:
    """Whether this is a code of Discord's: 0, or from 10,000 on; a proxy writes the status."""
    return type(code) is int and (code == 0 or code >= 10_000)


def _rate_limited(response: http.Response, body: Mapping[str, Any], error: str) -> RateLimited:
    """Read how long to wait after a 429, and for which webhooks."""
    headers, now = response.headers, datetime.now(UTC)
    wait = retry_after.seconds(body.get("retry_after"), now, most=_LONGEST_SECONDS)
    if wait is None or not any(name.lower().startswith("x-ratelimit-") for name in headers):
        asked = retry_after.seconds(headers.get("Retry-After"), now, most=_LONGEST_SECONDS)
        waits = (each for each in (asked, wait, DEFAULT_BAN_SECONDS) if each is not None)
        seconds = min(max(next(waits), _SHORTEST_BAN_SECONDS), _LONGEST_BAN_SECONDS)
        return RateLimited(seconds, everywhere=True, ban=error)
    everywhere = (
        body.get("global") is True
        or headers.get("X-RateLimit-Global", "").lower() == "true"
        or headers.get("X-RateLimit-Scope", "").lower() == "global"
    )
    return RateLimited(wait, everywhere)


def _json(body: bytes) -> Mapping[str, Any]:
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def _error(status: int, body: Mapping[str, Any], text: str) -> str:
    message, code = body.get("message"), body.get("code")
    # The code may be any JSON value, nested too deep to be written.
    number = f" (code {code})" if isinstance(code, str | int) else ""
    detail = f": {message}{number}" if isinstance(message, str) else ""
    # What Cloudflare says, as in "error code: 1015".
    if not detail and re.fullmatch(r"error code: \d{1,5}", text.strip()):
        detail = f": {text}"
    return " ".join(f"HTTP {status}{detail}".split())


def _message_id(body: Mapping[str, Any], webhook: Webhook) -> str:
    value = body.get("id")
    message_id = str(value) if isinstance(value, str | int) else ""
    is_valid = re.fullmatch(r"[0-9A-Za-z_-]{1,255}", message_id)
    return webhook.hide(message_id) if is_valid else ""
