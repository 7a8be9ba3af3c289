"""The Discord embed for an event, as the live notification service builds it.

Discord rejects a message that is one character too long, so all parts are cut to its limits
(Discord's documentation of the message resource, "Embed Limits"; its server counts code points).
"""

import json
import re
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Never

TITLE = 256
DESCRIPTION = 4096
FIELDS = 25
FIELD_NAME = 256
FIELD_VALUE = 1024
FOOTER = 2048
TOTAL = 6000

_COLORS = {"blog": 3447003, "twitchbot": 10181046, "link": 3066993}
_OTHER_COLOR = 5814783
_LARGEST_COLOR = 0xFFFFFF

# In the embed's other parts, so not repeated among the fields of a flat payload.
_ENVELOPE = ("id", "type", "source", "timestamp")

# Characters kept free in the footer for the longest note on what was left out.
_NOTE = 60
# A field is left out if less than this of its value fits.
_LEAST_VALUE = 16
# The longest sequence that is kept as one character; longer ones are abuse.
_LONGEST_CHARACTER = 40

# Go's zero time means "none", at any offset: it is in the first day of the first year.
_FIRST_KNOWN = datetime(1, 1, 2, tzinfo=UTC)
_LATEST = datetime.max.replace(tzinfo=UTC)

_JOINER = "\u200d"
_SURROGATE = re.compile("[\ud800-\udfff]")
_MODIFIER = re.compile("[\U0001f3fb-\U0001f3ff]")
_FLAG_LETTERS = re.compile("[\U0001f1e6-\U0001f1ff]*$")


class UnreadablePayload(Exception):
    """The stored payload is not a JSON object; the message has the reason."""


@dataclass(frozen=True, slots=True)
class NotificationEvent:
    """An event of a notification; ``fields`` are names and values, in their order, as text.
    ``timestamp`` is in UTC, or None if it is unknown."""

    id: str
    type: str
    source: str
    timestamp: datetime | None
    fields: tuple[tuple[str, str], ...]


def rebuild(
    payload: str, *, event_id: str, event_type: str, created_at: datetime | None
) -> NotificationEvent:
    """Read an event from its stored JSON, an envelope with ``data`` or a flat object.

    What the payload lacks is taken from the other columns of its row. Go's zero time, which the
    live service stores for an event without a time, is no time. Python's first and last time stand
    for times that it cannot represent, such as infinity, and count as unknown. Raises
    UnreadablePayload.
    """
    try:
        event = json.loads(payload, parse_constant=_refuse)
        if not isinstance(event, dict):
            raise UnreadablePayload("event_payload is JSON, but not an object")
        fields = tuple((name, _text(value)) for name, value in _fields(event).items())
    except ValueError as error:
        raise UnreadablePayload(f"event_payload is not JSON: {error}"[:200]) from error
    except RecursionError:
        raise UnreadablePayload("event_payload is nested too deeply") from None
    type_ = _string(event, "type") or event_type
    return NotificationEvent(
        id=_string(event, "id") or event_id,
        type=type_,
        source=_string(event, "source") or f"{_service(type_)}-service",
        timestamp=_known(_time(event.get("timestamp"))) or _known(created_at),
        fields=fields,
    )


def embed(event: NotificationEvent, color: int) -> dict[str, Any]:
    """Build the embed. ``color`` is the channel's; 0 or an invalid one means the event's."""
    title = cut(f"\N{PUBLIC ADDRESS LOUDSPEAKER} {event.type}", TITLE)
    footer = cut(f"Event ID: {event.id}", FOOTER - _NOTE)
    room = TOTAL - len(title) - len(footer) - _NOTE
    description = cut(f"Event from {event.source}", min(DESCRIPTION, room))
    fields = list(_fitting(event, room - len(description)))
    return {
        "title": title,
        "description": description,
        "color": color if 0 < color <= _LARGEST_COLOR else _color(event.type),
        **({"timestamp": event.timestamp.isoformat()} if event.timestamp else {}),
        "footer": {"text": footer + _note(event, fields)},
        "fields": [{"name": name, "value": value, "inline": True} for name, value in fields],
    }


def cut(text: str, limit: int) -> str:
    """The text with at most ``limit`` characters; an ellipsis replaces the end if it is cut."""
    text = _SURROGATE.sub("\N{REPLACEMENT CHARACTER}", text)
    if len(text) <= limit:
        return text
    end = limit - 1
    while end > max(0, limit - _LONGEST_CHARACTER) and _inside_character(text, end):
        end -= 1
    return text[:end] + "\N{HORIZONTAL ELLIPSIS}"


def _fitting(event: NotificationEvent, room: int) -> Iterator[tuple[str, str]]:
    for name, value in event.fields[:FIELDS]:
        name, value = cut(_shown(name), FIELD_NAME), _shown(value)
        left = room - len(name)
        if left < min(len(value), _LEAST_VALUE):
            return
        value = cut(value, min(FIELD_VALUE, left))
        room -= len(name) + len(value)
        yield name, value


def _note(event: NotificationEvent, fields: list[tuple[str, str]]) -> str:
    """How many fields the embed leaves out or shortens, for its footer."""
    missing = len(event.fields) - len(fields)
    pairs = zip(event.fields, fields, strict=False)
    shortened = sum(len(shown[1]) < len(_shown(stored[1])) for stored, shown in pairs)
    notes = (
        f"{missing} of {len(event.fields)} fields left out" if missing else "",
        f"{shortened} shortened" if shortened else "",
    )
    return "".join(f" \N{MIDDLE DOT} {note}" for note in notes if note)[:_NOTE]


def _fields(event: Mapping[str, Any]) -> Mapping[str, Any]:
    data = event.get("data")
    if data is None:
        return {n: v for n, v in event.items() if n not in (*_ENVELOPE, "data")}
    return data if isinstance(data, dict) else {"data": data}


def _text(value: object) -> str:
    if isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _shown(text: str) -> str:
    # Discord trims blanks and then rejects a field whose name or value is empty.
    return text.strip() or "\N{EM DASH}"


def _string(event: Mapping[str, Any], name: str) -> str:
    value = event.get(name)
    return value.strip() if isinstance(value, str) else ""


def _time(value: object) -> datetime | None:
    try:
        time = datetime.fromisoformat(value) if isinstance(value, str) else None
        return time and (time if time.tzinfo else time.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def _known(time: datetime | None) -> datetime | None:
    return time if time and _FIRST_KNOWN <= time < _LATEST else None


def _service(event_type: str) -> str:
    return event_type.partition(".")[0]


def _color(event_type: str) -> int:
    return _COLORS.get(_service(event_type), _OTHER_COLOR)


def _refuse(constant: str) -> Never:
    raise ValueError(f"{constant} is not a JSON value")  # Python would read NaN and Infinity


def _inside_character(text: str, end: int) -> bool:
    """Whether a cut there would split one visible character: a letter and its accents, an emoji
    of several code points, the two letters of a flag."""
    before, after = text[end - 1], text[end]
    if before == _JOINER or after == _JOINER or _MODIFIER.match(after):
        return True
    if unicodedata.category(after).startswith("M"):
        return True
    letters = _FLAG_LETTERS.search(text[max(0, end - _LONGEST_CHARACTER) : end])
    return bool(_FLAG_LETTERS.match(after) and letters and len(letters[0]) % 2)
