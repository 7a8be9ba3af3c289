"""Counts the backlog for the metrics: due rows, failed rows, the outbox.

Counts run only after a scrape of /metrics, on a thread of their own; the scrape gets the previous
figures. Without Prometheus there is no cost.
"""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial

import psycopg

from common import metrics
from common.database import failed_rows, migrations, own_tables
from common.database.connection import Database
from common.database.controls import pauses
from common.database.error_classification import connection_lost
from common.database.session import Session
from common.errors import LimitReached, PassError, naming_limits
from common.events import outbox
from common.logging import logs
from common.metrics.prometheus import Gauge, Metric
from common.scheduling.pass_runner import PassRunner

_log = logs.logger(__name__)

# At most once a minute, and at most this share of the time: without a suitable index, a count reads
# the whole table.
LEAST_SECONDS = 60.0
MOST_SHARE = 0.01
# The exact number of a big backlog is not needed.
MOST_ROWS = 10_000
MOST_EVENTS = 100_000
# Limits of each statement, and of all together if the server no longer responds.
LIMITS = {"statement_timeout": "2s"}
SAMPLE_SECONDS = 30.0

GaugeMetric = Metric[Gauge]

# A gauge, its label values, and its value.
Sample = tuple[GaugeMetric, tuple[str, ...], float]


class BacklogSampler:
    """Samples the backlog of one service."""

    def __init__(self, service: str, database: Database, runners: Sequence[PassRunner]) -> None:
        self._service = service
        self._database = database
        self._runners = runners
        self._shown: set[tuple[GaugeMetric, tuple[str, ...]]] = set()
        self._due_at = float("-inf")
        self._lock = threading.Lock()

    def sample_if_due(self) -> None:
        """Start to count on another thread, if it is time; returns at once."""
        if time.monotonic() >= self._due_at and self._lock.acquire(blocking=False):
            try:
                with naming_limits():
                    threading.Thread(target=self._run, name="sampler", daemon=True).start()
            except LimitReached as limit:
                self._lock.release()
                _log.warning("backlog_count_failed", error=limit)

    def _run(self) -> None:
        samples: list[Sample] = []
        pause = LEAST_SECONDS
        try:
            with logs.bind(service=self._service):
                started = time.monotonic()
                try:
                    samples = self._count()
                finally:
                    self._set_gauges(samples)
                pause = max(LEAST_SECONDS, (time.monotonic() - started) / MOST_SHARE)
        except (psycopg.Error, PassError) as error:
            metrics.count_database_error(self._service, error)
            _log.debug("backlog_count_failed", error=error)
        # A defect here must not end the process: the passes go on.
        except Exception:
            _log.exception("backlog_sampling_failed")
        finally:
            self._due_at = time.monotonic() + pause
            self._lock.release()

    def _count(self) -> list[Sample]:
        with self._database.connect_for(SAMPLE_SECONDS) as connection:
            migrations.require(connection, own_tables.EVERY_WORKER, may_apply=False)
            return [sample for query in self._queries() for sample in _samples(query, connection)]

    def _set_gauges(self, samples: Sequence[Sample]) -> None:
        """Set the gauges; remove those without a new value, because an old one would mislead."""
        for gauge, labels, value in samples:
            gauge.labels(*labels).set(value)
        shown = {(gauge, labels) for gauge, labels, _ in samples}
        for gauge, labels in self._shown - shown:
            gauge.remove(*labels)
        self._shown = shown

    def _queries(self) -> Iterator[Callable[[Session], Iterator[Sample]]]:
        yield self._outbox
        yield self._pauses
        for runner in self._runners:
            yield partial(self._failed_rows, runner)
            yield partial(self._backlog, runner)

    def _outbox(self, connection: Session) -> Iterator[Sample]:
        waiting = outbox.of_service(connection, self._service, MOST_EVENTS)
        yield metrics.OUTBOX_WAITING, (self._service,), waiting.waiting
        yield metrics.OUTBOX_OLDEST, (self._service,), waiting.age
        yield metrics.OUTBOX_SET_ASIDE, (self._service,), waiting.set_aside

    def _pauses(self, connection: Session) -> Iterator[Sample]:
        paused = pauses.in_effect(connection)
        for runner in self._runners:
            job = self._service, runner.scheduler.name
            yield metrics.PAUSED, job, job in paused

    def _failed_rows(self, runner: PassRunner, connection: Session) -> Iterator[Sample]:
        name = runner.scheduler.name
        failed = failed_rows.count(connection, name, MOST_ROWS)
        yield metrics.FAILED_ROWS, (self._service, name), failed

    def _backlog(self, runner: PassRunner, connection: Session) -> Iterator[Sample]:
        scheduler = runner.scheduler
        due = runner.backlog(connection, MOST_ROWS)
        if due is not None:
            yield metrics.BACKLOG, (self._service, scheduler.name), due
            if scheduler.backlog_gauge:
                yield scheduler.backlog_gauge, (self._service,), due


def _samples(query: Callable[[Session], Iterator[Sample]], connection: Session) -> list[Sample]:
    """The samples of one query; an empty list if the query times out or fails."""
    try:
        with connection.begin(LIMITS, read_only=True):
            return list(query(connection))
    except (psycopg.Error, PassError) as error:
        if connection_lost(error):
            raise
        _log.debug("backlog_count_failed", error=error)
        return []
