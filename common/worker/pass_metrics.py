"""Keeps the metrics of a service and its passes."""

import time
from collections.abc import Mapping

from common import metrics
from common.config import Settings
from common.database import run_history
from common.database.run_history import Run
from common.scheduling import first_pass
from common.scheduling.observer import Observer
from common.scheduling.scheduler import NOTHING, Pass, PassResult
from common.scheduling.service import Service
from common.version import VERSION

_RETRIED = "pass"


def describe(service: Service, settings: Settings) -> None:
    """Set the constant metrics, and create the counters with 0.

    Prometheus sees no increase if the first sample of a counter is 1.
    """
    metrics.BUILD.labels(VERSION).set(1)
    for kind in metrics.DATABASE_ERROR_KINDS:
        metrics.DATABASE_ERRORS.labels(service.name, kind)
    for scheduler in service.schedulers:
        job = (service.name, scheduler.name)
        metrics.ENABLED.labels(*job).set(settings[scheduler.enabled])
        if scheduler.work.next_due:
            metrics.LATENESS.labels(*job)
        metrics.INTERVAL.labels(*job).set(settings[scheduler.interval].total_seconds())
    if service.topics:
        metrics.KAFKA_ERRORS.labels(service.name)
        metrics.PUBLISHER_FAILURES.labels(service.name)
        metrics.RETRIES.labels(service.name, "event")
    for topic in service.topics:
        metrics.PUBLISHED.labels(service.name, topic)
        metrics.PUBLISH_FAILURES.labels(service.name, topic)


class PassMetrics(Observer):
    """Keeps the metrics of one scheduler."""

    def __init__(self, service: str, scheduler: str) -> None:
        self._service = service
        self._job = (service, scheduler)
        self._counted = NOTHING
        self._failed_before = False
        metrics.IN_PROGRESS.labels(*self._job).set(0)
        metrics.WAITS.labels(*self._job).set(0)
        metrics.FAILURES.labels(*self._job)
        metrics.CONSECUTIVE_FAILURES.labels(*self._job).set(0)
        metrics.DURATION.labels(*self._job)
        metrics.RETRIES.labels(service, _RETRIED)
        for result in run_history.RESULTS:
            metrics.EXECUTIONS.labels(*self._job, result)
        for outcome in NOTHING.counts:
            metrics.ITEMS.labels(*self._job, outcome)

    def started(self, run: Run) -> None:
        self._counted = NOTHING
        metrics.IN_PROGRESS.labels(*self._job).set(1)
        metrics.LAST_RUN.labels(*self._job).set(time.time())
        if self._failed_before:
            metrics.RETRIES.labels(self._service, _RETRIED).inc()

    def connected(self, run: Run, current: Pass) -> None:
        metrics.PAUSED.labels(*self._job).set(run.paused)  # sooner than the next sample
        difference = current.now - current.host_now
        metrics.CLOCK_DIFFERENCE.labels(self._service).set(difference.total_seconds())
        # Of any process: neither a restart nor the second of two machines, which skips its passes,
        # may look like a job that never succeeded.
        last = run_history.last_success(current.connection, *self._job)
        if last is not None:
            metrics.LAST_SUCCESS.labels(*self._job).set((last - difference).timestamp())

    def progressed(self, run: Run, done: PassResult, share: float | None) -> None:
        self._counted += done
        if done.lateness.counts:
            metrics.LATENESS.labels(*self._job).add(*done.lateness)
        self._count(done.counts)

    def ended(self, run: Run, error: Exception | None) -> None:
        # Most counts were reported during the pass; some are known only at the end.
        counted = self._counted.counts
        self._count({name: count - counted.get(name, 0) for name, count in run.counts.items()})
        metrics.IN_PROGRESS.labels(*self._job).set(0)
        metrics.WAITS.labels(*self._job).set(first_pass.is_waiting(run.result, run.error))
        metrics.EXECUTIONS.labels(*self._job, run.result).inc()
        metrics.DURATION.labels(*self._job).observe(run.seconds)
        self._failed_before = run.result == "failed"
        if self._failed_before:
            metrics.FAILURES.labels(*self._job).inc()
            metrics.CONSECUTIVE_FAILURES.labels(*self._job).inc()
        elif run.result == "ok":
            metrics.CONSECUTIVE_FAILURES.labels(*self._job).set(0)
            metrics.LAST_SUCCESS.labels(*self._job).set(time.time())
        # One that has ended well may have been paused at its last batch, unseen.
        if run.paused:
            metrics.PAUSED.labels(*self._job).set(1)
        if error is not None:
            metrics.count_database_error(self._service, error)

    def _count(self, counts: Mapping[str, int]) -> None:
        for outcome, count in counts.items():
            metrics.ITEMS.labels(*self._job, outcome).inc(max(0, count))
