"""Makes one line of a log record: `key=value`, or a JSON object.

Every string goes through `redact`, and characters that are not printable are escaped. If a value
cannot be shown, its error stands in its place.
"""

import json
import logging
import re
import traceback
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from datetime import UTC, datetime, timedelta
from types import MappingProxyType

from common.logging.redaction import redact

# The attribute of a record that sets ours apart from a library's: its fields.
OURS = "toast_fields"
_TAKEN = ("time", "level", "event")

# journald splits lines at 48 KiB: a response body in an error must not tear its record.
_LONGEST = 10_000

_Plain = str | int | float | bool | None

# The fields of every record of this thread.
bound: ContextVar[Mapping[str, object]] = ContextVar("bound", default=MappingProxyType({}))


class Formatter(logging.Formatter):
    """The line of a record, without its end."""

    def __init__(self, *, as_text: bool, with_traceback: bool) -> None:
        super().__init__()
        self._render = _text_line if as_text else _json_line
        self._with_traceback = with_traceback

    def format(self, record: logging.LogRecord) -> str:
        time = datetime.fromtimestamp(record.created, UTC)
        entry: dict[str, _Plain] = {
            "time": time.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "event": _clean(_attempt(record.getMessage)),
        }
        for name, value in self._fields(record).items():
            name = re.sub(r"[^A-Za-z0-9_.-]", "_", name)
            entry[f"{name}_" if name in _TAKEN else name] = _plain(value)
        return self._render(entry)

    def _fields(self, record: logging.LogRecord) -> dict[str, object]:
        ours = getattr(record, OURS, None)
        fields = {**bound.get(), **({"logger": record.name} if ours is None else ours)}
        if record.exc_info and record.exc_info[1]:
            error = record.exc_info[1]
            fields.setdefault("error", error)
            if self._with_traceback:
                fields["traceback"] = "".join(traceback.format_exception(error))
        return fields


def _plain(value: object) -> _Plain:
    """Reduce a value to a JSON type; times are in UTC, durations in seconds."""
    match value:
        case bool() | None:
            return value
        case int() if abs(value) < 2**63:
            return int(value)
        case float() if abs(value) < float("inf"):
            return float(value)
        case timedelta():
            return value.total_seconds()
        case datetime():
            return _clean(_attempt(lambda: _iso(value)))
        case BaseException():
            return _clean(f"{type(value).__name__}: {_attempt(lambda: str(value))}")
        case _:
            return _clean(_attempt(lambda: str(value)))


def _iso(moment: datetime) -> str:
    if moment.tzinfo is None:
        return moment.isoformat()
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


def _clean(text: str) -> str:
    text = redact(text)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}... ({len(text)} characters)"


def _attempt(show: Callable[[], str]) -> str:
    try:
        return show()
    except Exception as error:  # a foreign __str__ may raise anything
        return f"<unprintable: {type(error).__name__}>"


def _json_line(entry: Mapping[str, _Plain]) -> str:
    return json.dumps(entry, ensure_ascii=True)


def _text_line(entry: Mapping[str, _Plain]) -> str:
    time, level, event, *fields = entry.items()
    words = [str(time[1]), str(level[1]), _quoted(event[1])]
    words += [f"{name}={_quoted(value)}" for name, value in fields]
    return " ".join(words)


def _quoted(value: _Plain) -> str:
    """Write a value as one word, or in quotes with escapes."""
    if not isinstance(value, str):
        return json.dumps(value)
    if value and value.isprintable() and not re.search(r'[\s"=\\]', value):
        return value
    return '"' + "".join(map(_escaped, value)) + '"'


def _escaped(character: str) -> str:
    if character in '"\\':
        return f"\\{character}"
    if character.isprintable():
        return character
    return character.encode("unicode_escape").decode("ascii")
