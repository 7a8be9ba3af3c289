"""One worker process: the loops of one service, its publisher, and the signals.

SIGTERM stops it, and so does every other signal that would end it, apart from crashes: it finishes
the current batches, publishes their events and exits with 0 within STOP_SECONDS. SIGUSR1 runs the
schedulers of `toast trigger` now, or all if it names none. SIGHUP reloads the settings. Invalid
settings at its start end it with exit code 78; neither an unreachable server nor a log that cannot
be written ever ends it.
"""

import gc
import logging
import os
import signal
import threading
from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING

from common import config, exit_codes, failpoints, metrics, signals
from common.config import Settings, SettingsError
from common.database.connection import Database
from common.logging import logs, redaction
from common.scheduling import service_settings
from common.scheduling.loop import Loop
from common.scheduling.observer import Observer
from common.scheduling.pass_runner import PassRunner
from common.scheduling.scheduler import Scheduler
from common.scheduling.service import Service
from common.worker import pass_metrics, reload, sentry
from common.worker.backlog_sampler import BacklogSampler
from common.worker.endpoint.endpoint import Endpoint
from common.worker.endpoint.page import METRICS, Page, verdict
from common.worker.endpoint.server import MakePage
from common.worker.pass_metrics import PassMetrics
from common.worker.progress import ProgressLog
from common.worker.readiness import Readiness
from common.worker.sentry import PassReports, Reports
from common.worker.status_line import LastPass
from common.worker.systemd import SystemdNotifier
from common.worker.threads import WorkerThreads
from common.worker.triggers import Triggers

if TYPE_CHECKING:
    from common.worker.publisher_thread import PublisherThread

_log = logs.logger(__name__)

# Limit of the whole stop; supervisord and systemd kill later.
STOP_SECONDS = 8.0
SUPERVISE_SECONDS = 5.0


def main(service: Service) -> int:
    """Run the worker of one service until a signal ends it; returns the exit code."""
    logs.take_over()
    try:
        settings = service_settings.load(service)
        failpoints.arm(config.failpoint())
    except (SettingsError, ValueError) as error:
        logs.plain(str(error))
        return exit_codes.BAD_SETTINGS
    logs.configure(
        settings[config.LOG_LEVEL], settings[config.LOG_FORMAT], journal=config.journal_stream()
    )
    redaction.register(settings.secrets)
    reports = sentry.start(settings)
    threading.excepthook = partial(_uncaught, reports)
    awaited = signals.ending()
    # Before the first thread of the worker starts, so that all of them inherit the mask.
    signal.pthread_sigmask(signal.SIG_BLOCK, awaited)
    with logs.bind(service=service.name):
        for warning in settings.warnings:
            _log.warning("setting_questioned", reason=warning)
        # What the start has made stays. To look through it again and again for garbage took a
        # seventh of the CPU while many events were published.
        gc.freeze()
        return Worker(service, settings, reports).run(awaited)


class Worker:
    """Puts the parts of one worker process together, and runs them until a signal."""

    def __init__(self, service: Service, settings: Settings, reports: Reports | None) -> None:
        self._service = service
        self._reports = reports
        self._notify_socket = config.notify_socket()
        self._systemd = SystemdNotifier(self._notify_socket)
        self._starts_anew = False
        database, stopping = Database(settings), threading.Event()
        publisher = _publisher(service, settings, database, reports)
        enabled = [each for each in service.schedulers if settings[each.enabled]]
        last_passes = [LastPass(each.name) for each in enabled]
        self._summaries = [last.summary for last in last_passes]
        if publisher:
            self._summaries.append(publisher.summary)
        runners = [
            PassRunner(
                scheduler,
                settings,
                database,
                stop=stopping,
                observers=[last, *_observers(scheduler, settings, publisher, reports)],
            )
            for scheduler, last in zip(enabled, last_passes, strict=True)
        ]
        loops = [
            Loop(runner, settings[runner.scheduler.interval].total_seconds(), stopping)
            for runner in runners
        ]
        self._threads = WorkerThreads(loops, publisher, stopping)
        self._triggers = Triggers(service.name, database, loops)
        self._schedulers = ",".join(each.name for each in enabled)
        pass_metrics.describe(service, settings)
        sampler = BacklogSampler(service.name, database, runners)
        readiness = Readiness(service, settings, database)
        pages = _pages(service.name, self._threads, sampler, readiness)
        self._endpoint = _endpoint(service, settings, pages)

    def run(self, awaited: set[int]) -> int:
        """Start the threads, serve these signals, stop the threads; returns the exit code."""
        _log.info("worker_started", process=os.getpid(), schedulers=self._schedulers)
        failpoints.reach("start")
        self._threads.start()
        self._endpoint.open()
        self._systemd.ready()
        code = self._serve(awaited)
        if not self._starts_anew:
            self._systemd.stopping()
        failpoints.reach("stopping")
        has_ended = self._threads.stop(STOP_SECONDS)
        if self._reports:
            self._reports.flush()
        # A stop that came meanwhile: the new program would start everything to end it again.
        awaits_end = signal.sigpending() & awaited - {signal.SIGHUP, signal.SIGUSR1}
        if self._starts_anew and not awaits_end:
            _log.info("worker_reloaded")
            reload.start_anew(self._notify_socket)
        _log.info("worker_stopped", exit_code=code)
        if not has_ended:
            # A thread is blocked in a call that cannot be aborted, and the interpreter's exit might
            # wait for it. The server commits or rolls back open transactions as a whole.
            logging.shutdown()
            os._exit(code)
        return code

    def _serve(self, awaited: set[int]) -> int:
        while True:
            # systemd learns of a stalled pass before it is broken off.
            faults = self._threads.faults()
            self._notify_systemd(faults)
            if faults:
                self._abort_stalled()
            received = _next_signal(awaited)
            if received is None:
                self._endpoint.open()
                if self._threads.died():
                    return exit_codes.BUG
            elif received == signal.SIGUSR1:
                self._triggers.wake()
            elif received == signal.SIGHUP and reload.is_meant():
                _log.info("reload_requested")
                self._starts_anew = reload.is_possible(self._service)
                if self._starts_anew:
                    return exit_codes.FINE
            else:
                _log.info("stop_requested", signal=signals.name(received))
                return exit_codes.FINE

    def _notify_systemd(self, faults: list[str]) -> None:
        if not self._systemd.is_enabled:
            return
        if not faults:
            self._systemd.feed_watchdog()
        lines = [*faults, *(summary() for summary in self._summaries)]
        self._systemd.status("; ".join(lines) or "no scheduler is enabled")

    def _abort_stalled(self) -> None:
        for scheduler in self._threads.abort_stalled():
            if self._reports:
                text = "a pass has made no progress for too long, and was broken off"
                self._reports.problem("stalled", text, scheduler=scheduler)


def _endpoint(service: Service, settings: Settings, pages: Mapping[str, MakePage]) -> Endpoint:
    address, port = settings[config.METRICS_BIND], settings[service.metrics]
    return Endpoint(address, port, settings[config.METRICS_HOSTS], pages)


def _pages(
    service: str, threads: WorkerThreads, sampler: BacklogSampler, readiness: Readiness
) -> Mapping[str, MakePage]:
    def exposition() -> Page:
        sampler.sample_if_due()
        metrics.LOG_LINES_DROPPED.labels(service).value = logs.lines_dropped()
        return Page(metrics.exposition(), METRICS)

    def readyz() -> Page | None:
        away = readiness.faults()
        return None if away is None else verdict([*threads.faults(), *away, *threads.failures()])

    return {
        "/metrics": exposition,
        "/healthz": lambda: verdict(threads.faults()),
        "/readyz": readyz,
    }


def _observers(
    scheduler: Scheduler,
    settings: Settings,
    publisher: "PublisherThread | None",
    reports: Reports | None,
) -> list[Observer]:
    service, name = settings.service, scheduler.name
    observers: list[Observer] = [PassMetrics(service, name), ProgressLog()]
    if publisher:
        observers.append(publisher)
    if reports:
        interval = settings[scheduler.interval].total_seconds()
        observers.append(PassReports(reports, service, name, interval))
    return observers


def _publisher(
    service: Service, settings: Settings, database: Database, reports: Reports | None
) -> "PublisherThread | None":
    if not service.topics:
        return None
    # Imported here so that a service without topics does not load the publisher.
    from common.events.publisher import Publisher
    from common.worker.publisher_thread import PublisherThread

    return PublisherThread(Publisher(settings, database), service.name, reports)


def _next_signal(awaited: set[int]) -> int | None:
    """Wait for one of these signals; None after SUPERVISE_SECONDS.

    If the process was paused for longer, by SIGSTOP or with its machine, CPython's sigtimedwait
    returns uninitialised memory.
    """
    received = signal.sigtimedwait(awaited, SUPERVISE_SECONDS)
    return received.si_signo if received and received.si_signo in awaited else None


def _uncaught(reports: Reports | None, caught: threading.ExceptHookArgs) -> None:
    """Log it: standard error would show it on many lines, with every secret in it."""
    _log.exception("exception_uncaught", thread=caught.thread.name if caught.thread else "")
    if reports and caught.exc_value:
        reports.failure(caught.exc_value)
