"""The loop of a scheduler: passes at a fixed interval, and when a row is due, until the stop.

The first pass runs at once, the next ones at multiples of the interval after it, on the monotonic
clock; ticks during a pass are dropped. Between two ticks a pass runs when the next row is due that
the last pass knew of. A failed pass is retried with back-off, and one that a pause skipped or
stopped runs at its end; never later than the next tick.
"""

import math
import threading
import time

from common import backoff
from common.logging import logs
from common.scheduling.cadence import Cadence
from common.scheduling.pass_runner import PassRunner

_log = logs.logger(__name__)

# If no pass is running and one was due this long ago, the loop is stuck.
LATE_SECONDS = 60.0


class Loop:
    """Runs one scheduler on its own thread."""

    def __init__(self, runner: PassRunner, interval: float, stopping: threading.Event) -> None:
        """``interval`` is in seconds; to end the loop, set ``stopping`` and call wake()."""
        self.runner = runner
        self.name = runner.scheduler.name
        self._interval = interval
        self._stopping = stopping
        self._wake = threading.Event()
        # Why it was woken: set before the event, and read after it is cleared.
        self._is_wanted = False
        self._requested_at = -math.inf
        self._ended_at = -math.inf
        self._due_at = math.inf
        self.thread = threading.Thread(target=self._run, name=self.name, daemon=True)

    def start(self) -> None:
        self._due_at = time.monotonic()
        self.thread.start()

    def stalled(self) -> bool:
        """True if the pass makes no progress, or the next one is long overdue."""
        if self.runner.heartbeat.is_running:
            return self.runner.heartbeat.stalled()
        return time.monotonic() - self._due_at > LATE_SECONDS

    def wake(self) -> None:
        """Run the next pass now, or notice the stop; the ticks stay the same."""
        self._is_wanted = True
        self._wake.set()

    def request(self, requested_at: float) -> None:
        """Run a pass now, unless one ended after this moment of the monotonic clock."""
        self._requested_at = requested_at
        self._wake.set()

    def _run(self) -> None:
        with logs.bind(service=self.runner.service):
            _log.info("scheduler_started", scheduler=self.name, interval=self._interval)
            cadence, failures, is_woken = Cadence(self._interval), 0, False
            while not self._stopping.is_set():
                began = time.monotonic()
                cadence.begin(self._due_at, is_woken=is_woken)
                self._due_at = math.inf
                run = self.runner.run(cadence)
                failures = failures + 1 if run.result == "failed" else 0
                soon = min(self._retry_after(failures), self.runner.pause_ends_in)
                self._due_at = cadence.next_pass(soon)
                # A pass that a pause has cut short does not serve who resumes meanwhile.
                self._ended_at = began if run.paused else time.monotonic()
                is_woken = self._wait()
            _log.info("scheduler_stopped", scheduler=self.name)

    def _wait(self) -> bool:
        """Wait for the next pass; returns whether somebody wants it now."""
        while True:
            seconds = max(0.0, self._due_at - time.monotonic())
            is_woken = self._wake.wait(min(seconds, threading.TIMEOUT_MAX))
            # Cleared only here, before the stop is checked, so the stop is not missed.
            self._wake.clear()
            if self._must_run():
                return True
            if not is_woken:
                return False

    def _must_run(self) -> bool:
        is_wanted, self._is_wanted = self._is_wanted, False
        return is_wanted or self._requested_at > self._ended_at

    def _retry_after(self, failures: int) -> float:
        if not failures:
            return math.inf
        limit = backoff.RECONNECT_SECONDS if self.runner.connection_lost else self._interval
        return backoff.retry_delay(failures, limit)
