"""Writes lines to a file descriptor, without ever waiting long for whoever reads it.

A pipe, socket or terminal blocks its writer while nobody reads. Only a thread of its own keeps that
from the callers in every case: O_NONBLOCK would change the file for each process that shares it,
and a file that poll() calls writable can be full before the write. A caller waits a moment for its
line, so that a crash after it does not lose the line.
"""

import os
import select
import signal
import threading
from collections import deque
from collections.abc import Callable

# The longest wait of a caller for its line; while an earlier line is stuck, no caller waits.
PROMPT_SECONDS = 0.1
# The longest wait at the end of the process for the lines that are left.
FLUSH_SECONDS = 1.0
# Hours of the log of a worker, which writes a few lines a minute.
MOST_BYTES = 256 * 1024


class LineWriter:
    """Writes lines in their order; drops and counts lines that do not fit or cannot be written."""

    def __init__(self, descriptor: int, notice: Callable[[int], bytes]) -> None:
        """``notice`` makes the line that stands for so many dropped ones, written once lines can
        be written again."""
        self._descriptor = descriptor
        self._notice = notice
        self.dropped = 0
        self._reported = 0
        self._changed = threading.Condition()
        # The first line stays here until it is written.
        self._queue: deque[bytes] = deque()
        self._is_full = False
        self._is_prompt = True
        self._is_closed = False
        # Part of a line was written, and the rest could not be.
        self._is_torn = False
        self._thread: threading.Thread | None = None

    def write(self, line: bytes) -> None:
        """Write a line; it is queued if earlier ones are stuck, and dropped if they are many."""
        with self._changed:
            if self._is_closed or (self._queue and not self._fits(line)):
                self.dropped += 1
                return
            self._queue.append(line)
            self._changed.notify_all()
            self._start()
            if self._is_prompt:
                self._is_prompt = self._changed.wait_for(lambda: not self._queue, PROMPT_SECONDS)

    def close(self) -> None:
        """Write what is left, for at most FLUSH_SECONDS; later lines are dropped."""
        with self._changed:
            self._is_closed = True
            self._changed.notify_all()
        if self._thread:
            self._thread.join(FLUSH_SECONDS)

    def _fits(self, line: bytes) -> bool:
        """False also for every line after one that did not fit, until all others are written:
        then there is one gap, and the notice stands in it."""
        self._is_full = self._is_full or sum(map(len, self._queue)) + len(line) > MOST_BYTES
        return not self._is_full

    def _start(self) -> None:
        if self._thread:
            return
        thread = threading.Thread(target=self._run, name="log", daemon=True)
        # The thread inherits the mask: signals are for the other threads.
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
        try:
            thread.start()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        self._thread = thread

    def _run(self) -> None:
        while line := self._next():
            missing = self._done(is_written=self._is_written(line))
            if missing and self._is_written(self._notice(missing)):
                self._reported += missing

    def _next(self) -> bytes:
        """Wait for a line; empty once there will be none."""
        with self._changed:
            self._changed.wait_for(lambda: self._queue or self._is_closed)
            return self._queue[0] if self._queue else b""

    def _done(self, *, is_written: bool) -> int:
        """Remove the first line; returns how many dropped lines to report now."""
        with self._changed:
            self._queue.popleft()
            self.dropped += not is_written
            if self._queue:
                return 0
            self._is_full, self._is_prompt = False, True
            self._changed.notify_all()
            return self.dropped - self._reported if is_written else 0

    def _is_written(self, line: bytes) -> bool:
        """Write the whole line; False if the file is gone or its disk is full."""
        line = b"\n" * self._is_torn + line
        left = line
        try:
            while left:
                left = left[self._write_some(left) :]
        except OSError:
            self._is_torn = self._is_torn or len(left) < len(line)
            return False
        self._is_torn = False
        return True

    def _write_some(self, data: bytes) -> int:
        try:
            return os.write(self._descriptor, data)
        except BlockingIOError:  # a process that shares the file has set O_NONBLOCK
            select.select([], [self._descriptor], [])
            return 0
