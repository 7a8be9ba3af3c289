"""Runs one pass: everything around a scheduler's own work, from connect to record."""

import math
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import psycopg

from common import failpoints
from common.config import TOAST_MIGRATE, TOAST_PUNCTUAL, Settings
from common.database import migrations, usable_tables
from common.database.advice import advised
from common.database.connection import Database, abort_connection
from common.database.controls import pauses
from common.database.error_classification import connection_lost
from common.database.run_history import Run
from common.database.session import Session
from common.errors import LimitReached
from common.logging import logs
from common.logging.redaction import redact
from common.scheduling import grants
from common.scheduling.cadence import Cadence
from common.scheduling.first_pass import FirstPass, Takeover
from common.scheduling.observer import Observer
from common.scheduling.preview import Preview, Reasons
from common.scheduling.scheduler import NOTHING, Pass, PassResult, Scheduler
from common.scheduling.under_way.failure_log import FailureLog, is_transient
from common.scheduling.under_way.heartbeat import Heartbeat
from common.scheduling.under_way.interruption import Interruption
from common.scheduling.unrecorded_runs import UnrecordedRuns

_log = logs.logger(__name__)


class PassRunner:
    """Runs single passes of one scheduler and records them; never raises."""

    def __init__(
        self,
        scheduler: Scheduler,
        settings: Settings,
        database: Database,
        *,
        stop: threading.Event | None = None,
        observers: Sequence[Observer] = (),
        takeover: Takeover | None = None,
        obeys_pauses: bool = True,
    ) -> None:
        """``stop`` ends a pass early; ``observers`` are called at the start, after each commit and
        at the end; ``takeover`` makes the passes those of `toast takeover`."""
        self.scheduler = scheduler
        self.service = settings.service
        self._settings = settings
        self._tables = grants.accesses([scheduler])
        self._database = database
        self._stop = stop or threading.Event()
        self._takeover = takeover
        self._obeys_pauses = obeys_pauses
        self._first_pass = FirstPass(scheduler, settings, takeover)
        self._observers = observers
        self._connection: Session | None = None
        self._done = NOTHING
        self.heartbeat = Heartbeat()
        self._unrecorded = UnrecordedRuns()
        self._failure_log = FailureLog()
        self.connection_lost = False
        # Why the last pass failed if only an operator can fix that, else "".
        self.lasting_failure = ""
        # Seconds until the end of the pause that has skipped or stopped the last pass.
        self.pause_ends_in = math.inf

    def run(self, cadence: Cadence | None = None) -> Run:
        """Run one pass; its result, or its error, is logged and in the returned Run.

        The passes of a loop have a ``cadence``, which is told when the next row will be due.
        """
        run = Run(self.service, self.scheduler.name)
        with logs.bind(scheduler=self.scheduler.name, run_id=run.id), self.heartbeat:
            _log.debug("pass_started")
            for observer in self._observers:
                observer.started(run)
            failure = self._attempt(run, cadence)
            self.heartbeat.beat()
            for observer in self._observers:
                observer.ended(run, failure)
        return run

    def preview(self) -> Preview:
        """What a pass would do; in a read-only transaction."""
        with self.connect_to_look() as connection, connection.begin(read_only=True):
            return self.preview_in(connection)

    def preview_in(self, connection: Session) -> Preview:
        """As ``preview``, in a transaction of this connection."""
        return self.scheduler.work.preview(self._new_pass(connection))

    def why(self, connection: Session, row: str) -> Reasons:
        """Why a pass would find the row with this id, or not; in a read-only transaction.

        Raises PassError if there is none.
        """
        with connection.begin(read_only=True):
            return self.scheduler.work.why(self._new_pass(connection), row)

    @contextmanager
    def connect_to_look(self, seconds: float = threading.TIMEOUT_MAX) -> Iterator[Session]:
        """A connection for what changes nothing, for so long, if a pass can use all its tables."""
        with self._database.connect_for(seconds) as connection:
            migrations.require(connection, self._tables, may_apply=False)
            usable_tables.require(connection, self._tables)
            yield connection

    def backlog(self, connection: Session, most: int) -> int | None:
        """Count the due rows, at most ``most``; None if the scheduler has no cheap count."""
        count = self.scheduler.work.backlog
        return count(self._new_pass(connection), most) if count else None

    def explain(self, connection: Session) -> None:
        """Let PostgreSQL plan the statements of a pass, and run none; raises its error."""
        if explain := self.scheduler.work.explain:
            explain(self._new_pass(connection))

    def abort_connection(self) -> None:
        """Abort the connection of the pass from another thread; the pass fails at once."""
        if self._connection is not None:
            abort_connection(self._connection)

    def _attempt(self, run: Run, cadence: Cadence | None) -> Exception | None:
        """Run the pass, and log and record how it ended; returns its error."""
        self._done, self.connection_lost, self.pause_ends_in = NOTHING, False, math.inf
        started = time.monotonic()
        try:
            self._run(run, started, cadence)
        # Broad, so that no error of a pass ends its loop or the other schedulers.
        except Exception as error:
            self._failed(run, started, error)
            self.lasting_failure = "" if is_transient(error) else run.error
            return error
        finally:
            self._connection = None
        self.lasting_failure = ""
        return None

    def _run(self, run: Run, started: float, cadence: Cadence | None) -> None:
        with self._database.connect() as connection:
            self._connection = connection
            failpoints.reach("connected")
            may_apply = self._settings[TOAST_MIGRATE]
            migrations.require(connection, self._tables, may_apply=may_apply)
            self._unrecorded.record(connection)
            current, interruption = self._begin(connection, run, cadence)
            run.paused = interruption.pause is not None
            for observer in self._observers:
                observer.connected(run, current)
            run.started_at = current.now
            run.clock_ahead = (current.host_now - current.now).total_seconds()
            run.record_start(connection)
            result = self._work(current, run, interruption)
            if cadence:
                run.next_at = self._plan(current, result, cadence)
            run.seconds = time.monotonic() - started
            run.result = result.outcome
            run.counts = result.counts
            run.error = redact(result.skipped or result.note) or run.error
            run.record_end(connection)
        self._failure_log.succeeded()
        self._log_end(run, result)

    def _work(self, current: Pass, run: Run, interruption: Interruption) -> PassResult:
        if interruption.pause:
            result = PassResult(skipped=str(interruption.pause))
        else:
            usable_tables.require(current.connection, self._tables)
            result = self._first_pass.run(current, run)
        pause = interruption.pause
        if pause is None or (result.complete and not result.skipped):
            return result
        run.paused = True
        if pause.until:
            self.pause_ends_in = (pause.until - current.time_now()).total_seconds()
        return replace(result, note=str(pause))

    def _plan(self, current: Pass, result: PassResult, cadence: Cadence) -> datetime:
        """Ask when the next row will be due; returns when the next pass runs."""
        ask = self.scheduler.work.next_due
        if ask and result.outcome == "ok" and self._settings[TOAST_PUNCTUAL]:
            ahead = timedelta(seconds=cadence.next_tick() - current.started)
            cadence.expect(ask(current, ahead))
        return current.time_at(cadence.next_pass(self.pause_ends_in))

    def _new_pass(self, connection: Session) -> Pass:
        """A pass that only looks."""
        return self._begin(connection, None)[0]

    def _begin(
        self, connection: Session, run: Run | None, cadence: Cadence | None = None
    ) -> tuple[Pass, Interruption]:
        def report_progress(done: PassResult = NOTHING, /, *, share: float | None = None) -> None:
            if run is not None:
                self._progressed(run, done, share)

        job = self.service, self.scheduler.name
        now, pause = pauses.now_and_pause(connection, *job)
        interruption = Interruption(
            self._stop, connection, job, pause, obeys_pauses=self._obeys_pauses and bool(run)
        )
        announced = self._takeover.announced if self._takeover else None
        current = Pass(
            scheduler=self.scheduler.name,
            connection=connection,
            settings=self._settings,
            interval=self._settings[self.scheduler.interval],
            now=now,
            host_now=datetime.now(UTC),
            stopping=interruption.is_wanted,
            wait=interruption.wait,
            report_progress=report_progress,
            quiet_until=None if announced is None else now - announced,
            between_ticks=bool(cadence and cadence.is_between_ticks),
        )
        return current, interruption

    def _progressed(self, run: Run, done: PassResult, share: float | None) -> None:
        if done != NOTHING:
            failpoints.reach("committed")
        self.heartbeat.beat()
        self._done += done
        for observer in self._observers:
            observer.progressed(run, done, share)

    def _log_end(self, run: Run, result: PassResult) -> None:
        write = _log.warning if result.failed else _log.info
        why = {"reason": run.error} if result.skipped or run.paused else {}
        seconds = round(run.seconds, 3)
        write("pass_finished", result=run.result, seconds=seconds, **run.counts, **why)

    def _failed(self, run: Run, started: float, error: Exception) -> None:
        run.seconds = time.monotonic() - started
        run.result = "failed"
        run.counts = self._done.counts if self._done != NOTHING else {}
        text = " ".join(f"{type(error).__name__}: {error}".split())
        run.error = redact(advised(text, error))
        self.connection_lost = connection_lost(error)
        self._failure_log.failed(run, error)
        self._unrecorded.keep(run)
        if not self.connection_lost:
            self._try_to_record()

    def _try_to_record(self) -> None:
        try:
            with self._database.connect() as connection:
                self._connection = connection
                self._unrecorded.record(connection)
        except (psycopg.Error, LimitReached):
            _log.debug("run_record_failed")  # kept, and recorded by the next pass
