"""Replies that a test can order from the Discord stand-in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

STALL_SECONDS = 3600.0


@dataclass(frozen=True, slots=True)
class Reply:
    """A reply, after ``delay`` seconds; 200 without a body is a message that was posted. A 429
    asks to wait ``retry_after`` seconds, for this webhook or ``everywhere``."""

    status: int
    body: Mapping[str, Any] | str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    retry_after: float = 0.0
    everywhere: bool = False
    delay: float = 0.0


@dataclass(frozen=True, slots=True)
class Stall:
    """No reply for some seconds, then the connection is closed."""

    seconds: float = STALL_SECONDS


HEALTHY = Reply(200)
UNKNOWN_WEBHOOK = Reply(404, {"message": "Unknown Webhook", "code": 10015})
INVALID_TOKEN = Reply(401, {"message": "Invalid Webhook Token", "code": 50027})
# From Discord's edge; it has no information about the webhook.
EDGE_BLOCK = Reply(403, "error code: 1010", {"Content-Type": "text/plain"})
BAD_GATEWAY = Reply(502, "<html>502 Bad Gateway</html>", {"Content-Type": "text/html"})


def rate_limited(seconds: float, *, everywhere: bool = False) -> Reply:
    """A 429 as the API sends it: the wait is in the body, whole seconds in the header."""
    body = {"message": "You are being rate limited.", "retry_after": seconds, "global": everywhere}
    scope = "global" if everywhere else "user"
    headers = {"Retry-After": str(int(seconds) + 1), "X-RateLimit-Scope": scope}
    return Reply(429, body, headers, retry_after=seconds, everywhere=everywhere)


def edge_ban(retry_after: str) -> Reply:
    """A 429 of Discord's edge, which has banned the address for these seconds."""
    headers = {"Content-Type": "text/plain; charset=UTF-8", "Server": "cloudflare"}
    if retry_after:
        headers["Retry-After"] = retry_after
    return Reply(429, "error code: 1015", headers, everywhere=True)
