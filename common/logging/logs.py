"""One line per record: `key=value` at a terminal, a JSON object elsewhere.

Every record has a time (UTC, milliseconds), a level, a static event name and fields, those of
`bind` first. Records of libraries have the same form, with their message as the event. Characters
that are not printable are escaped, so no record breaks its line or controls the terminal. Every
string goes through `redact`. Lines for systemd's journal begin with their priority.

Logging never raises: if a value cannot be shown, its error stands in its place. And it never waits
for a reader: lines that cannot be written are dropped, and `log_lines_dropped` has their number.
"""

import contextlib
import logging
import os
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass

from common import standard_files
from common.logging.formatter import OURS, Formatter, bound
from common.logging.line_writer import LineWriter
from common.standard_files import STANDARD_ERROR

_PRIORITIES = ((logging.CRITICAL, 2), (logging.ERROR, 3), (logging.WARNING, 4), (logging.INFO, 6))

# urllib3 logs whole URLs: of every request at debug, of retries and odd headers at warning.
logging.getLogger("urllib3").setLevel(logging.ERROR)


@dataclass(frozen=True, slots=True)
class Logger:
    """Writes events: a static name, and fields that hold ids and counts, never secrets."""

    _target: logging.Logger

    def debug(self, event: str, /, **fields: object) -> None:
        self._target.debug("%s", event, extra={OURS: fields})

    def info(self, event: str, /, **fields: object) -> None:
        self._target.info("%s", event, extra={OURS: fields})

    def warning(self, event: str, /, **fields: object) -> None:
        self._target.warning("%s", event, extra={OURS: fields})

    def error(self, event: str, /, **fields: object) -> None:
        self._target.error("%s", event, extra={OURS: fields})

    def exception(self, event: str, /, **fields: object) -> None:
        """Write an error with the exception being handled: its type, message and traceback."""
        self._target.error("%s", event, extra={OURS: fields}, exc_info=True)


def logger(name: str) -> Logger:
    """The logger of a module: `log = logs.logger(__name__)`."""
    return Logger(logging.getLogger(name))


@contextlib.contextmanager
def bind(**fields: object) -> Iterator[None]:
    """Add these fields to every record of this thread until the block ends."""
    token = bound.set({**bound.get(), **fields})
    try:
        yield
    finally:
        bound.reset(token)


def configure(
    level: str, format: str, *, descriptor: int = STANDARD_ERROR, journal: str = ""
) -> None:
    """Send all records of at least this level to an open file, and only there.

    `level` is debug, info, warning or error; `format` is text, json, or auto: text at a terminal,
    else json. `journal` is the device and inode of the stream to systemd's journal, if there is
    one; it may be inherited from an unrelated parent.
    """
    as_text = format == "text" or (format == "auto" and os.isatty(descriptor))
    formatter = Formatter(as_text=as_text, with_traceback=not as_text or level == "debug")
    to_journal = bool(journal) and journal == _identity(descriptor)
    handler = _Handler(descriptor, formatter, to_journal=to_journal)
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)


def lines_dropped() -> int:
    """How many lines could not be written since `configure`."""
    return sum(handler.writer.dropped for handler in _handlers())


def plain(text: str) -> None:
    """Write lines that are no record, such as the faults of settings."""
    for handler in _handlers():
        handler.writer.write(_encoded(text))


def take_over() -> None:
    """Log warnings and uncaught exceptions of any thread or destructor.

    The interpreter would write them to standard error with every secret in them.
    """
    standard_files.occupy_closed(os.O_RDWR)
    configure("warning", "auto")  # until the settings are known
    logging.captureWarnings(True)
    sys.excepthook = lambda kind, error, trace: _uncaught(error, "")
    threading.excepthook = lambda caught: _uncaught(
        caught.exc_value, caught.thread.name if caught.thread else ""
    )
    sys.unraisablehook = lambda caught: _uncaught(caught.exc_value, "")


def _uncaught(error: BaseException | None, thread: str) -> None:
    fields = {"thread": thread} if thread else {}
    logging.getLogger(__name__).error("exception_uncaught", extra={OURS: fields}, exc_info=error)


def _handlers() -> list["_Handler"]:
    return [each for each in logging.root.handlers if isinstance(each, _Handler)]


def _encoded(text: str) -> bytes:
    encoding = getattr(sys.stderr, "encoding", None) or "utf-8"
    return f"{text}\n".encode(encoding, "backslashreplace")


def _identity(descriptor: int) -> str:
    """Device and inode of an open file, as systemd writes them."""
    status = os.fstat(descriptor)
    return f"{status.st_dev}:{status.st_ino}"


class _Handler(logging.Handler):
    def __init__(self, descriptor: int, formatter: logging.Formatter, *, to_journal: bool) -> None:
        super().__init__()
        self.setFormatter(formatter)
        self._to_journal = to_journal
        self.writer = LineWriter(descriptor, self._notice)

    def emit(self, record: logging.LogRecord) -> None:
        # Such as a thread that cannot be started: the work goes on.
        with contextlib.suppress(Exception):
            self.writer.write(self._line(record))

    def close(self) -> None:
        self.writer.close()
        super().close()

    def _line(self, record: logging.LogRecord) -> bytes:
        priority = f"<{_priority(record.levelno)}>" if self._to_journal else ""
        return _encoded(f"{priority}{self.format(record)}")

    def _notice(self, dropped: int) -> bytes:
        record = logging.LogRecord(
            __name__, logging.WARNING, "", 0, "log_lines_dropped", None, None
        )
        setattr(record, OURS, {"count": dropped})
        return self._line(record)


def _priority(level: int) -> int:
    """The syslog(3) priority of a Python log level."""
    return next((priority for least, priority in _PRIORITIES if level >= least), 7)
