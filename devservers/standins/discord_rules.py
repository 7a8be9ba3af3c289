"""The rules of the Discord stand-in: its rate limits, and the form of an embed.

They are written from Discord's documentation, not from our client, so that tests find what the
client has wrong.
"""

from collections import defaultdict, deque
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

# A request may have been sent before the 429 for another one was read.
IN_FLIGHT_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class Verdict:
    """The limits for a request: seconds to wait (0: allowed), requests left for its webhook, and
    seconds until the reset. ``too_early``: an earlier reply had already asked to wait."""

    wait: float
    remaining: int
    reset_after: float
    too_early: bool


class TrafficRules:
    """5 requests in 2 seconds per webhook, in a window that the first request opens and the
    headers show; 30 in any minute per channel, which no header shows; and the waits of 429s."""

    def __init__(self, scale: float) -> None:
        self._window_seconds = 2.0 * scale
        self._minute = 60.0 * scale
        self._window_ends: defaultdict[str, float] = defaultdict(float)
        self._used: defaultdict[str, int] = defaultdict(int)
        self._minutes: defaultdict[str, deque[float]] = defaultdict(lambda: deque(maxlen=30))
        self._closed_until: defaultdict[str, float] = defaultdict(float)
        self._all_closed = (0.0, 0.0)

    def enter(self, webhook: str, now: float) -> Verdict:
        """Check one request that arrives now, and count it unless it must wait."""
        all_from, all_until = self._all_closed
        wait = max(self._closed_until[webhook], all_until) - now
        if wait > 0:
            too_early = now < self._closed_until[webhook] or now > all_from + IN_FLIGHT_SECONDS
            return Verdict(wait, 0, wait, too_early)
        minute = self._minutes[webhook]
        if len(minute) == minute.maxlen and (hidden := minute[0] + self._minute - now) > 0:
            self.close(webhook, now + hidden)
            return Verdict(hidden, 0, hidden, too_early=False)
        minute.append(now)
        return self._count(webhook, now)

    def close(self, webhook: str, until: float) -> None:
        """Allow no request to one webhook before that time."""
        self._closed_until[webhook] = max(self._closed_until[webhook], until)

    def close_all(self, now: float, until: float) -> None:
        """Allow no request to any webhook before that time."""
        self._all_closed = (now, until)

    def _count(self, webhook: str, now: float) -> Verdict:
        if now >= self._window_ends[webhook]:
            self._window_ends[webhook], self._used[webhook] = now + self._window_seconds, 0
        self._used[webhook] += 1
        remaining, ends = 5 - self._used[webhook], self._window_ends[webhook]
        if remaining == 0:
            self.close(webhook, ends)
        return Verdict(0.0, remaining, ends - now, too_early=False)


@dataclass(frozen=True, slots=True)
class Fault:
    """Why a request is rejected: HTTP status, Discord's code and message."""

    status: int
    code: int
    message: str


def request_fault(version: str | None, user_agent: str, body: Mapping[str, Any]) -> Fault | None:
    """The error of a request to an existing webhook, or None."""
    if version != "10":  # earlier versions use milliseconds, among other differences
        return Fault(400, 50041, "Invalid API version")
    if not user_agent or "python-requests" in user_agent:
        return Fault(403, 40333, "internal network error")
    if fault := embed_fault(body):
        return Fault(400, 50035, f"Invalid Form Body: {fault}")
    return None


def embed_fault(body: Mapping[str, Any]) -> str:
    """The error of a message of embeds, or ''."""
    embeds = body.get("embeds")
    if not isinstance(embeds, list) or not 1 <= len(embeds) <= 10:
        return "embeds: 1 to 10 are needed"
    texts = [text for embed in embeds for text in _texts(embed)]
    if sum(len(text) for _, text, _ in texts) > 6000:
        return "embeds: more than 6000 characters in all"
    for name, text, most in texts:
        if not 1 <= len(text.strip()) <= len(text) <= most:
            return f"{name}: {len(text)} characters, not 1 to {most}"
        if any("\ud800" <= character <= "\udfff" for character in text):
            return f"{name}: half a character"
    return next(filter(None, map(_other_fault, embeds)), "")


def _texts(embed: Mapping[str, Any]) -> list[tuple[str, str, int]]:
    texts = [
        ("title", embed["title"], 256),
        ("description", embed["description"], 4096),
        ("footer", embed["footer"]["text"], 2048),
    ]
    for index, field in enumerate(embed["fields"]):
        texts.append((f"fields[{index}].name", field["name"], 256))
        texts.append((f"fields[{index}].value", field["value"], 1024))
    return texts


def _other_fault(embed: Mapping[str, Any]) -> str:
    if len(embed["fields"]) > 25:
        return "fields: more than 25"
    if not 0 <= embed["color"] <= 0xFFFFFF:
        return "color: out of range"
    try:
        datetime.fromisoformat(embed.get("timestamp", "2024-02-29"))  # it is optional
    except ValueError:
        return "timestamp: not ISO 8601"
    return ""
