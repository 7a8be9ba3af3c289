"""One line per record: `key=value` at a terminal, a JSON object elsewhere.

Every record has a time (UTC, milliseconds), a level, a static event name and fields, those of
`bind` first. Records of libraries have the same form, with their message as the event. Characters
that are not printable are escaped, so no record breaks its line or controls the terminal. Every
string goes through `redact`. Lines for systemd's journal begin with their priority.

Logging never raises: if a value cannot be shown, its error stands in its place.
"""

import contextlib
import json
import logging
import os
import re
import sys
import threading
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import TextIO

from common.logging.redaction import redact

_LEVELS = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warning": logging.WARNING,
    "error": logging.ERROR,
}
_PRIORITIES = ((logging.CRITICAL, 2), (logging.ERROR, 3), (logging.WARNING, 4), (logging.INFO, 6))
_OURS = "toast_fields"  # the attribute of a record that sets ours apart from a library's
_TAKEN = ("time", "level", "event")

# journald splits lines at 48 KiB: a response body in an error must not tear its record.
_LONGEST = 10_000

# urllib3 logs whole URLs: of every request at debug, of retries and odd headers at warning.
logging.getLogger("urllib3").setLevel(logging.ERROR)

_Plain = str | int | float | bool | None

_bound: ContextVar[Mapping[str, object]] = ContextVar("bound", default=MappingProxyType({}))


@dataclass(frozen=True, slots=True)
class Logger:
    """Writes events: a static name, and fields that hold ids and counts, never secrets."""

    _target: logging.Logger

    def debug(self, event: str, /, **fields: object) -> None:
        self._target.debug("%s", event, extra={_OURS: fields})

    def info(self, event: str, /, **fields: object) -> None:
        self._target.info("%s", event, extra={_OURS: fields})

    def warning(self, event: str, /, **fields: object) -> None:
        self._target.warning("%s", event, extra={_OURS: fields})

    def error(self, event: str, /, **fields: object) -> None:
        self._target.error("%s", event, extra={_OURS: fields})

    def exception(self, event: str, /, **fields: object) -> None:
        """Write an error with the exception being handled: its type, message and traceback."""
        self._target.error("%s", event, extra={_OURS: fields}, exc_info=True)


def logger(name: str) -> Logger:
    """The logger of a module: `log = logs.logger(__name__)`."""
    return Logger(logging.getLogger(name))


@contextlib.contextmanager
def bind(**fields: object) -> Iterator[None]:
    """Add these fields to every record of this thread until the block ends."""
    token = _bound.set({**_bound.get(), **fields})
    try:
        yield
    finally:
        _bound.reset(token)


def configure(level: str, format: str, stream: TextIO | None = None, *, journal: str = "") -> None:
    """Send all records of at least this level to the stream (standard error), and only there.

    `level` is debug, info, warning or error; `format` is text, json, or auto: text where the
    stream is a terminal, else json. `journal` is the device and inode of the stream to systemd's
    journal, if there is one; it may be inherited from an unrelated parent.
    """
    handler = _Handler(stream or sys.stderr)
    handler.to_journal = bool(journal) and journal == _identity(handler.stream)
    as_text = format == "text" or (format == "auto" and handler.stream.isatty())
    render = _text_line if as_text else _json_line
    handler.setFormatter(_Formatter(render, with_traceback=not as_text or level == "debug"))
    logging.basicConfig(level=_LEVELS[level], handlers=[handler], force=True)


def take_over() -> None:
    """Log warnings and uncaught exceptions of any thread or destructor.

    The interpreter would write them to standard error with every secret in them.
    """
    configure("warning", "auto")  # until the settings are known
    logging.captureWarnings(True)
    sys.excepthook = lambda kind, error, trace: _uncaught(error, "")
    threading.excepthook = lambda caught: _uncaught(
        caught.exc_value, caught.thread.name if caught.thread else ""
    )
    sys.unraisablehook = lambda caught: _uncaught(caught.exc_value, "")


def _uncaught(error: BaseException | None, thread: str) -> None:
    fields = {"thread": thread} if thread else {}
    logging.getLogger(__name__).error("exception_uncaught", extra={_OURS: fields}, exc_info=error)


def _identity(stream: TextIO) -> str:
    """Device and inode of an open file, as systemd writes them."""
    try:
        status = os.fstat(stream.fileno())
    except (OSError, ValueError):
        return ""  # no file behind it
    return f"{status.st_dev}:{status.st_ino}"


class _Handler(logging.StreamHandler[TextIO]):
    to_journal = False

    def format(self, record: logging.LogRecord) -> str:
        encoding = getattr(self.stream, "encoding", None) or "utf-8"
        line = super().format(record).encode(encoding, "backslashreplace").decode(encoding)
        return f"<{_priority(record.levelno)}>{line}" if self.to_journal else line

    def handleError(self, record: logging.LogRecord) -> None:
        """Drop the record: the stream is gone, and the work goes on."""


def _priority(level: int) -> int:
    """The syslog(3) priority of a Python log level."""
    return next((priority for least, priority in _PRIORITIES if level >= least), 7)


class _Formatter(logging.Formatter):
    def __init__(
        self, render: Callable[[Mapping[str, _Plain]], str], *, with_traceback: bool
    ) -> None:
        super().__init__()
        self._render = render
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
        ours = getattr(record, _OURS, None)
        fields = {**_bound.get(), **({"logger": record.name} if ours is None else ours)}
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
