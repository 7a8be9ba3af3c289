"""Shows the progress of a long pass: a log record every LOG_SECONDS, or a line on a terminal."""

import os
import time
from contextlib import suppress
from typing import TextIO

from common.database.run_history import Run
from common.logging import logs
from common.scheduling.observer import Observer
from common.scheduling.scheduler import NOTHING, PassResult

_log = logs.logger(__name__)

# The end of a shorter pass is logged with all counts.
LOG_SECONDS = 10.0
LINE_SECONDS = 0.2

_CLEAR_LINE = "\r\x1b[K"


class ProgressLog(Observer):
    """Logs the progress of one scheduler's pass, at most every LOG_SECONDS."""

    def __init__(self) -> None:
        self._done = NOTHING
        self._due_at = 0.0

    def started(self, run: Run) -> None:
        self._done = NOTHING
        self._due_at = time.monotonic() + LOG_SECONDS

    def progressed(self, run: Run, done: PassResult, share: float | None) -> None:
        self._done += done
        if time.monotonic() >= self._due_at:
            self._due_at = time.monotonic() + LOG_SECONDS
            percent = {} if share is None else {"percent": round(100 * share)}
            _log.info("progress_reported", **percent, **self._done.counts)


class ProgressLine(Observer):
    """Updates one line of a terminal while passes run, and clears it at the end."""

    def __init__(self, terminal: TextIO) -> None:
        self._terminal = terminal
        self._done = NOTHING
        self._started_at = 0.0
        self._due_at = 0.0

    def started(self, run: Run) -> None:
        self._done = NOTHING
        self._started_at = time.monotonic()
        self._due_at = self._started_at + LINE_SECONDS

    def progressed(self, run: Run, done: PassResult, share: float | None) -> None:
        self._done += done
        now = time.monotonic()
        if now >= self._due_at:
            self._due_at = now + LINE_SECONDS
            percent = "" if share is None else f" {share:.0%},"
            counts = ", ".join(f"{count:,} {name}" for name, count in self._done.counts.items())
            self._write(f"{run.scheduler}:{percent} {counts} ({now - self._started_at:.0f} s)")

    def ended(self, run: Run, error: Exception | None) -> None:
        self._write("")

    def _write(self, text: str) -> None:
        with suppress(OSError):  # the terminal is gone; the pass goes on
            # A line that wraps could not be cleared; a width of 0 means unknown.
            columns = os.get_terminal_size(self._terminal.fileno()).columns or 80
            self._terminal.write(_CLEAR_LINE + text[: columns - 1])
            self._terminal.flush()
