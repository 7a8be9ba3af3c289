"""What a service and its passes tell the metrics."""

import time
from collections.abc import Mapping
from types import MappingProxyType

from common import metrics, runs
from common.config import Settings
from common.observer import Observer
from common.runs import Run
from common.scheduler import NOTHING, Pass, PassResult, Service
from common.version import VERSION

_RETRIED = "pass"
_NONE: Mapping[str, int] = MappingProxyType({})


def describe(service: Service, settings: Settings) -> None:
    """Set what does not change while the process runs, and name every topic from the start."""
    metrics.BUILD.labels(VERSION).set(1)
    for scheduler in service.schedulers:
        job = (service.name, scheduler.name)
        metrics.ENABLED.labels(*job).set(settings[scheduler.enabled])
        metrics.INTERVAL.labels(*job).set(settings[scheduler.interval].total_seconds())
    for topic in service.topics:
        metrics.PUBLISHED.labels(service.name, topic)
        metrics.PUBLISH_FAILURES.labels(service.name, topic)


class PassMetrics(Observer):
    """Keeps the metrics of one scheduler."""

    def __init__(self, service: str, scheduler: str) -> None:
        self._service = service
        self._job = (service, scheduler)
        self._counted = NOTHING
        self._last_success_known = False
        self._failed_before = False
        metrics.IN_PROGRESS.labels(*self._job).set(0)
        metrics.FAILURES.labels(*self._job)
        metrics.DURATION.labels(*self._job)
        metrics.RETRIES.labels(service, _RETRIED)
        for result in runs.RESULTS:
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
        difference = current.now - current.host_now
        metrics.CLOCK_DIFFERENCE.labels(self._service).set(difference.total_seconds())
        if not self._last_success_known:
            self._last_success_known = True
            last = runs.last_success(current.connection, *self._job)
            if last is not None:
                metrics.LAST_SUCCESS.labels(*self._job).set(last.timestamp())

    def progressed(self, run: Run, done: PassResult, share: float | None) -> None:
        self._counted += done
        self._count(done.counts)

    def ended(self, run: Run, error: Exception | None) -> None:
        # Most of it has been counted on the way; of some counts only the end knows.
        self._count(run.counts, counted=self._counted.counts)
        metrics.IN_PROGRESS.labels(*self._job).set(0)
        metrics.EXECUTIONS.labels(*self._job, run.result).inc()
        metrics.DURATION.labels(*self._job).observe(run.seconds)
        self._failed_before = run.result == "failed"
        if self._failed_before:
            metrics.FAILURES.labels(*self._job).inc()
        if run.result == "ok":
            metrics.LAST_SUCCESS.labels(*self._job).set(time.time())
        # Another process has done it, or a former one: a restart must not look like a job that
        # never succeeded, nor the second of two machines like one that does not.
        self._last_success_known = run.result == "ok"
        if error is not None:
            metrics.count_database_error(self._service, error)

    def _count(self, counts: Mapping[str, int], *, counted: Mapping[str, int] = _NONE) -> None:
        for outcome, count in counts.items():
            metrics.ITEMS.labels(*self._job, outcome).inc(max(0, count - counted.get(outcome, 0)))
