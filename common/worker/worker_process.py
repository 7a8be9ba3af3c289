"""One worker process: the loops of one service, its publisher, and the signals.

SIGTERM and SIGINT stop it: it finishes the current batches, publishes their events and exits with 0
within STOP_SECONDS. SIGUSR1 runs every scheduler now. Invalid settings end it with exit code 78; an
unreachable server never ends it.
"""

import logging
import os
import signal
import sys
import threading
import time
from functools import partial
from typing import TYPE_CHECKING

from common import config, exit_codes, failpoints, metrics
from common.config import Settings, SettingsError
from common.database.connection import Database
from common.logging import logs, redaction
from common.scheduling.loop import Loop
from common.scheduling.observer import Observer
from common.scheduling.pass_runner import PassRunner
from common.scheduling.scheduler import Scheduler, Service
from common.worker import pass_metrics, sentry
from common.worker.backlog_sampler import BacklogSampler
from common.worker.endpoint.endpoint import Endpoint
from common.worker.endpoint.page import METRICS, Page, verdict
from common.worker.pass_metrics import PassMetrics
from common.worker.progress import ProgressLog
from common.worker.readiness import Readiness
from common.worker.sentry import PassReports, Reports
from common.worker.status_line import LastPass
from common.worker.systemd import SystemdNotifier
from common.worker.watchdog import ThreadWatch

if TYPE_CHECKING:
    from common.worker.publisher_thread import PublisherThread

_log = logs.logger(__name__)


# Limit of the whole stop; supervisord and systemd kill later.
STOP_SECONDS = 8.0
# Of it, for publishing the events of the last batches, and for closing.
PUBLISH_SECONDS = 2.5
CLOSE_SECONDS = 0.5
SUPERVISE_SECONDS = 5.0

_SIGNALS = {signal.SIGTERM, signal.SIGINT, signal.SIGUSR1}


def main(service: Service) -> int:
    """Run the worker of one service until a signal ends it; returns the exit code."""
    logs.take_over()
    try:
        settings = config.load(service.name, service.variables, needs=service.needs)
        failpoints.arm(config.failpoint())
    except (SettingsError, ValueError) as error:
        print(error, file=sys.stderr)
        return exit_codes.BAD_SETTINGS
    logs.configure(
        settings[config.LOG_LEVEL], settings[config.LOG_FORMAT], journal=config.journal_stream()
    )
    redaction.register(settings.secrets)
    reports = sentry.start(settings)
    threading.excepthook = partial(_uncaught, reports)
    # Before the first thread starts, so that all threads inherit the mask.
    signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
    with logs.bind(service=service.name):
        for warning in settings.warnings:
            _log.warning("setting_questioned", reason=warning)
        return Worker(service, settings, reports).run()


class Worker:
    """Starts, watches and stops the threads of one worker process."""

    def __init__(
        self, service: Service, settings: Settings, reports: Reports | None = None
    ) -> None:
        self._service = service
        self._reports = reports
        self._stopping = threading.Event()
        self._systemd = SystemdNotifier(config.notify_socket())
        self._last_passes: list[LastPass] = []
        database = Database(settings)
        self._publisher = _publisher(service, settings, database, reports)
        self._loops = [
            Loop(
                PassRunner(
                    scheduler,
                    settings,
                    database,
                    stop=self._stopping,
                    observers=self._observers(scheduler, settings),
                ),
                settings[scheduler.interval].total_seconds(),
                self._stopping,
            )
            for scheduler in service.schedulers
            if settings[scheduler.enabled]
        ]
        self._thread_watch = ThreadWatch(self._loops, self._publisher, self._stopping)
        pass_metrics.describe(service, settings)
        self._sampler = BacklogSampler(
            service.name, database, [loop.runner for loop in self._loops]
        )
        self._readiness = Readiness(service, settings, database)
        self._endpoint = Endpoint(
            settings[config.METRICS_BIND],
            settings[service.metrics],
            settings[config.METRICS_HOSTS],
            {
                "/metrics": self._metrics,
                "/healthz": lambda: verdict(self._thread_watch.faults()),
                "/readyz": self._readyz,
            },
        )

    def run(self) -> int:
        """Start the threads, serve signals, stop the threads; returns the exit code."""
        _log.info(
            "worker_started",
            process=os.getpid(),
            schedulers=",".join(loop.name for loop in self._loops),
        )
        failpoints.reach("start")
        for thread in self._thread_watch.threads:
            thread.start()
        self._endpoint.open()
        self._systemd.ready()
        code = self._serve_signals()
        self._systemd.stopping()
        self._stop()
        if self._reports:
            self._reports.flush()
        _log.info("worker_stopped", exit_code=code)
        if any(thread.is_alive() for thread in self._thread_watch.threads):
            # A thread is blocked in a call that cannot be aborted, and the interpreter's exit might
            # wait for it. The server commits or rolls back open transactions as a whole.
            logging.shutdown()
            os._exit(code)
        return code

    def _readyz(self) -> Page | None:
        away = self._readiness.faults()
        return None if away is None else verdict(self._unready(away))

    def _unready(self, away: list[str]) -> list[str]:
        publisher = self._publisher.fault if self._publisher else ""
        waiting = [f"events wait: {publisher}"] if publisher else []
        stopping = ["the worker is stopping"] if self._stopping.is_set() else []
        failing = [
            f"{loop.name}: {failure}"
            for loop in self._loops
            if (failure := loop.runner.lasting_failure)
        ]
        return [*stopping, *self._thread_watch.faults(), *away, *failing, *waiting]

    def _metrics(self) -> Page:
        self._sampler.sample_if_due()
        return Page(metrics.exposition(), METRICS)

    def _observers(self, scheduler: Scheduler, settings: Settings) -> list[Observer]:
        last = LastPass(scheduler.name)
        self._last_passes.append(last)
        metered = PassMetrics(self._service.name, scheduler.name)
        observers: list[Observer] = [metered, ProgressLog(), last]
        if self._publisher:
            observers.append(self._publisher)
        if self._reports:
            interval = settings[scheduler.interval].total_seconds()
            name = self._service.name
            observers.append(PassReports(self._reports, name, scheduler.name, interval))
        return observers

    def _serve_signals(self) -> int:
        while True:
            self._notify_systemd()
            received = _next_signal()
            if received is None:
                self._abort_stalled()
                self._endpoint.open()
                if self._thread_watch.died():
                    return exit_codes.BUG
            elif received == signal.SIGUSR1:
                _log.info("run_now_requested")
                for loop in self._loops:
                    loop.wake()
            else:
                _log.info("stop_requested", signal=signal.Signals(received).name)
                return 0

    def _notify_systemd(self) -> None:
        if not self._systemd.is_enabled:
            return
        faults = self._thread_watch.faults()
        if not faults:
            self._systemd.feed_watchdog()
        summaries = [last.summary() for last in self._last_passes]
        if self._publisher:
            summaries.append(self._publisher.summary())
        self._systemd.status("; ".join([*faults, *summaries]) or "no scheduler is enabled")

    def _abort_stalled(self) -> None:
        for scheduler in self._thread_watch.abort_stalled():
            if self._reports:
                text = "a pass has made no progress for too long, and was broken off"
                self._reports.problem("stalled", text, scheduler=scheduler)

    def _stop(self) -> None:
        """Stop the passes first, because they fill the outbox, then the publisher."""
        failpoints.reach("stopping")
        deadline = time.monotonic() + STOP_SECONDS
        self._stopping.set()
        for loop in self._loops:
            loop.wake()
        _join([loop.thread for loop in self._loops], deadline - PUBLISH_SECONDS - CLOSE_SECONDS)
        for loop in self._loops:
            loop.runner.abort_connection()
        if self._publisher:
            self._publisher.stop(PUBLISH_SECONDS)
            _join([self._publisher.thread], deadline)
            self._publisher.abort_connection()


def _next_signal() -> int | None:
    """Wait for a signal; None after SUPERVISE_SECONDS.

    If the process was paused for longer, by SIGSTOP or with its machine, CPython's sigtimedwait
    returns uninitialised memory.
    """
    received = signal.sigtimedwait(_SIGNALS, SUPERVISE_SECONDS)
    return received.si_signo if received and received.si_signo in _SIGNALS else None


def _uncaught(reports: Reports | None, caught: threading.ExceptHookArgs) -> None:
    """Log it: standard error would show it on many lines, with every secret in it."""
    _log.exception("thread_died", thread=caught.thread.name if caught.thread else "")
    if reports and caught.exc_value:
        reports.failure(caught.exc_value)


def _join(threads: list[threading.Thread], deadline: float) -> None:
    for thread in threads:
        thread.join(max(0.0, deadline - time.monotonic()))


def _publisher(
    service: Service, settings: Settings, database: Database, reports: Reports | None
) -> "PublisherThread | None":
    if not service.topics:
        return None
    # Imported here so that a service without topics does not load the publisher.
    from common.events.publisher import Publisher
    from common.worker.publisher_thread import PublisherThread

    return PublisherThread(Publisher(settings, database), service.name, reports)
