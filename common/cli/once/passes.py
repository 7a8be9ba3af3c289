"""`toast once`: one pass of some schedulers in the foreground.

A signal ends it as it ends a worker: after the batch that is being changed.
"""

import signal
import threading
import time
from collections.abc import Sequence

import psycopg

from common import signals
from common.cli.once.delivery import OwnEvents, Publishing
from common.cli.once.outcome import NOT_RUN, PassOutcome
from common.cli.once.report import Delivery, OnceReport
from common.config import Settings
from common.database.advice import advised
from common.database.connection import Database
from common.database.run_history import Run
from common.errors import PassError
from common.logging import logs
from common.logging.redaction import redact, redact_row
from common.scheduling.first_pass import Takeover
from common.scheduling.observer import Observer
from common.scheduling.pass_runner import PassRunner
from common.scheduling.scheduler import NOTHING, PassResult, Scheduler

# After a signal: for the batch that is being changed, and to count the events that wait.
STOP_SECONDS = 5.0
POLL_SECONDS = 0.05


def run(
    schedulers: Sequence[Scheduler],
    settings: Settings,
    observers: Sequence[Observer] = (),
    *,
    wait_events: bool = True,
    takeover: Takeover | None = None,
    obeys_pauses: bool = True,
) -> OnceReport:
    """Run one pass of each scheduler, unless it is paused, then publish the outbox.

    Without ``wait_events``, events that Kafka does not have in the end are no failure.
    SIGHUP, SIGINT and SIGTERM end it after the current batch, a second one or STOP_SECONDS at once.
    """
    # nohup, and a script's shell in the background, have some of them ignored.
    awaited = signals.not_ignored((signal.SIGHUP, signal.SIGINT, signal.SIGTERM))
    work = _Work(schedulers, settings, observers, wait_events, takeover, obeys_pauses)
    before = signal.pthread_sigmask(signal.SIG_BLOCK, awaited)
    try:
        work.thread.start()
        ended_by = _wait(work.thread, awaited)
        if ended_by:
            work.stop.set()
            _wait(work.thread, awaited, STOP_SECONDS)
        return work.report(ended_by)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _wait(thread: threading.Thread, awaited: set[int], seconds: float = float("inf")) -> int:
    """Wait for the end of the thread; returns the signal that came before it, or 0."""
    deadline = time.monotonic() + seconds
    while thread.is_alive() and time.monotonic() < deadline:
        if pending := signal.sigpending() & awaited:
            return signal.sigwait(pending)
        thread.join(POLL_SECONDS)
    return 0


class _Work(Observer):
    """Runs the passes and publishes, on a thread that can be left behind if it hangs."""

    def __init__(
        self,
        schedulers: Sequence[Scheduler],
        settings: Settings,
        observers: Sequence[Observer],
        wait_events: bool,
        takeover: Takeover | None,
        obeys_pauses: bool,
    ) -> None:
        self.stop = threading.Event()
        self.thread = threading.Thread(target=self._run, name="once", daemon=True)
        self._schedulers = schedulers
        self._settings = settings
        self._database = Database(settings)
        own = OwnEvents(schedulers)
        self._observers = [*observers, own]
        self._publishing = Publishing(settings, self._database, own, self.stop)
        self._wait_events = wait_events
        self._takeover = takeover
        self._obeys_pauses = obeys_pauses
        self._runs: dict[str, Run] = {}
        self._done = NOTHING
        self._started_at = 0.0
        self._complete = False

    def started(self, run: Run) -> None:
        self._runs[run.scheduler] = run
        self._started_at, self._done, run.counts = time.monotonic(), NOTHING, NOTHING.counts

    def progressed(self, run: Run, done: PassResult, share: float | None) -> None:
        self._done += done
        run.counts, run.seconds = self._done.counts, time.monotonic() - self._started_at

    def report(self, ended_by: int) -> OnceReport:
        """What is done now; counts the events that wait."""
        for run in self._runs.values():
            if not run.result:  # it hangs
                for observer in self._observers:
                    observer.ended(run, None)
        return OnceReport(
            self._settings.service,
            [self._outcome(scheduler.name) for scheduler in self._schedulers],
            self._publishing.result(),
            ended_by,
            self._complete,
            wait_events=self._wait_events,
        )

    def _outcome(self, name: str) -> PassOutcome:
        run = self._runs.get(name)
        if run is None:
            return PassOutcome(name, NOT_RUN, {}, 0.0, "")
        return PassOutcome(
            name, run.result or "stopped", run.counts, run.seconds, run.error, paused=run.paused
        )

    def _run(self) -> None:
        with logs.bind(service=self._settings.service):
            for scheduler in self._schedulers:
                if not self.stop.is_set():
                    PassRunner(
                        scheduler,
                        self._settings,
                        self._database,
                        stop=self.stop,
                        observers=[self, *self._observers],
                        takeover=self._takeover,
                        obeys_pauses=self._obeys_pauses,
                    ).run()
            if self._has_topics() and not self.stop.is_set():
                self._publishing.run(wait=self._wait_events)
        self._complete = True

    def _has_topics(self) -> bool:
        return any(scheduler.topics for scheduler in self._schedulers)


def dry_run(schedulers: Sequence[Scheduler], settings: Settings) -> OnceReport:
    """Preview one pass of each scheduler; changes nothing and migrates nothing."""
    database = Database(settings)
    outcomes = [_preview(PassRunner(scheduler, settings, database)) for scheduler in schedulers]
    return OnceReport(settings.service, outcomes, Delivery(), dry_run=True)


def _preview(runner: PassRunner) -> PassOutcome:
    started = time.monotonic()
    result, counts, error, rows = "ok", {"due": 0}, "", []
    try:
        preview = runner.preview()
        counts, rows = {"due": preview.count}, [redact_row(row) for row in preview.rows]
    except (psycopg.Error, PassError) as fault:
        result, error = "failed", redact(advised(str(fault), fault))
    seconds = time.monotonic() - started
    return PassOutcome(runner.scheduler.name, result, counts, seconds, error, rows)
