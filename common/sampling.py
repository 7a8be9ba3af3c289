"""What waits - due rows, failed rows, the outbox - counted for the metrics.

Counting happens because somebody scrapes, never by itself: an installation without Prometheus
pays nothing. It is done beside the scrape, which gets the figures of the last time.
"""

import threading
import time
from collections.abc import Sequence
from contextlib import suppress

import psycopg

from common import failed_rows, logs, metrics, migrations, outbox
from common.database import Connection, Database
from common.runner import PassRunner
from common.scheduler import PassError

_log = logs.logger(__name__)

# At most once a minute, and at most this share of the time: a table without an index that
# serves is read from end to end.
LEAST_SECONDS = 60.0
MOST_SHARE = 0.01
# A backlog is small or it is not: nobody needs the exact number of a big one.
MOST_ROWS = 10_000
MOST_EVENTS = 100_000
# Of each single count.
STATEMENT_SECONDS = 2

_CAREFULLY = f"""
SET statement_timeout = '{STATEMENT_SECONDS}s'; SET default_transaction_read_only = on"""


class Sampler:
    """Counts what waits for one service."""

    def __init__(self, service: str, database: Database, runners: Sequence[PassRunner]) -> None:
        self._service = service
        self._database = database
        self._runners = runners
        self._due_at = float("-inf")
        self._lock = threading.Lock()

    def scraped(self) -> None:
        """Count anew, on a thread of its own, if it is time; returns at once."""
        if time.monotonic() >= self._due_at and self._lock.acquire(blocking=False):
            threading.Thread(target=self._run, name="sampler", daemon=True).start()

    def _run(self) -> None:
        started = time.monotonic()
        try:
            with logs.bind(service=self._service):
                self._sample()
        finally:
            took = time.monotonic() - started
            self._due_at = time.monotonic() + max(LEAST_SECONDS, took / MOST_SHARE)
            self._lock.release()

    def _sample(self) -> None:
        try:
            with self._database.connect() as connection:
                migrations.require(connection, may_apply=False)
                connection.execute(_CAREFULLY)
                self._outbox(connection)
                for runner in self._runners:
                    self._job(connection, runner)
        except (psycopg.Error, PassError) as error:
            metrics.count_database_error(self._service, error)
            _log.debug("backlog_not_counted", error=error)
            for gauge in metrics.SAMPLED:  # not there, rather than as it once was
                gauge.clear()

    def _outbox(self, connection: Connection) -> None:
        waiting = outbox.of_service(connection, self._service, MOST_EVENTS)
        metrics.OUTBOX_WAITING.labels(self._service).set(waiting.waiting)
        metrics.OUTBOX_OLDEST.labels(self._service).set(waiting.age)
        metrics.OUTBOX_SET_ASIDE.labels(self._service).set(waiting.set_aside)

    def _job(self, connection: Connection, runner: PassRunner) -> None:
        name = runner.scheduler.name
        failed = failed_rows.count(connection, name, MOST_ROWS)
        metrics.FAILED_ROWS.labels(self._service, name).set(failed)
        try:
            due = runner.backlog(connection, MOST_ROWS)
        except psycopg.errors.QueryCanceled:
            # Too dear to know. What was known before would only grow old.
            with suppress(KeyError):
                metrics.BACKLOG.remove(self._service, name)
            return
        if due is not None:
            metrics.BACKLOG.labels(self._service, name).set(due)
