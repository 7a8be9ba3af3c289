"""The publisher's thread: publish after commits with events, check the outbox every 180 s."""

import threading
import time
from typing import TYPE_CHECKING

import psycopg

from common import metrics
from common.backoff import RECONNECT_SECONDS, retry_delay
from common.database.advice import advised
from common.database.connection import abort_connection
from common.database.error_classification import connection_lost
from common.database.run_history import Run
from common.errors import PassError
from common.events.publisher import Publisher
from common.events.round import Published, Stop
from common.logging import logs
from common.logging.throttle import LogThrottle
from common.scheduling.observer import Observer
from common.scheduling.scheduler import Pass, PassResult
from common.scheduling.under_way.heartbeat import Heartbeat
from common.worker import status_line

if TYPE_CHECKING:
    from common.worker.sentry import Reports

_log = logs.logger(__name__)

# How often to look for events of `toast once` or another machine. Password authentication at each
# connect is the main cost of an idle worker.
SWEEP_SECONDS = 180.0
# After this time the connections are closed: most services publish once in minutes or hours.
IDLE_SECONDS = 10.0
# A refused event is retried after 2 seconds at the earliest.
REFUSED_SECONDS = 2.0


class PublisherThread(Observer):
    """Runs the publisher of one service when a pass has, or may have, committed events."""

    def __init__(
        self, publisher: Publisher, service: str, reports: "Reports | None" = None
    ) -> None:
        self._publisher = publisher
        self._reports = reports
        self._service = service
        # Why the last round could not publish all events, else "".
        self.fault = ""
        self._outcome = Published()
        self._wake = threading.Event()
        # Schedulers whose last pass lost its connection.
        self._lost_connection: set[str] = set()
        self._stop = threading.Event()
        self._stop_at = float("inf")
        self._failures = 0
        self._outage_log = LogThrottle(_log.warning, _log.debug)
        self._heartbeat = Heartbeat()
        self.thread = threading.Thread(target=self._run, name="publisher", daemon=True)

    def start(self) -> None:
        self.thread.start()

    def progressed(self, run: Run, done: PassResult, share: float | None) -> None:
        if done.events:
            self._wake.set()

    def connected(self, run: Run, current: Pass) -> None:
        # The previous pass may have committed events without receiving the COMMIT reply. The
        # publisher is woken only now, because without PostgreSQL it would fail, too.
        if run.scheduler in self._lost_connection:
            self._lost_connection.discard(run.scheduler)
            self._wake.set()

    def ended(self, run: Run, error: Exception | None) -> None:
        if error and connection_lost(error):
            self._lost_connection.add(run.scheduler)

    def summary(self) -> str:
        """What the last round left in the outbox, in a few words."""
        return status_line.outbox(self._outcome.left, self._outcome.reason)

    def stop(self, seconds: float) -> None:
        """Publish for at most ``seconds``, then end the thread; returns at once."""
        self._stop_at = time.monotonic() + seconds
        self._stop.set()
        self._wake.set()

    def stalled(self) -> bool:
        """True if one call of the database takes too long."""
        return self._heartbeat.stalled()

    def abort_connection(self) -> None:
        """Abort the database connection from another thread."""
        connection = self._publisher.connection
        if connection is not None:
            abort_connection(connection)

    def _run(self) -> None:
        with logs.bind(service=self._service):
            while True:
                last_round = self._stop.is_set()
                outcome = self._drain()
                if last_round:
                    break
                self._wait(outcome)
            self._close()

    def _drain(self) -> Published:
        self._wake.clear()  # before reading: later commits set it again
        with self._heartbeat:
            outcome = self._published()
        self._outcome = outcome
        self.fault = "" if outcome.elsewhere else outcome.reason
        self._report(outcome)
        return outcome

    def _published(self) -> Published:
        try:
            outcome = self._publisher.drain(Stop(self._must_stop, self._stop.wait))
        # Broad, so that no error of a round ends the process: the next round runs.
        except Exception as error:
            return self._failed(error)
        if outcome.reason and not outcome.elsewhere:
            metrics.KAFKA_ERRORS.labels(self._service).inc()
        return outcome

    def _failed(self, error: Exception) -> Published:
        """Prepare the next round; the number of waiting events is unknown after an error."""
        metrics.count_database_error(self._service, error)
        if isinstance(error, psycopg.Error | PassError):
            self._publisher.disconnect()
        else:
            metrics.PUBLISHER_FAILURES.labels(self._service).inc()
            _log.exception("publish_crashed")
            self._close()
        if self._reports and not connection_lost(error):
            self._reports.failure(error)
        return Published(reason=advised(f"{type(error).__name__}: {error}", error))

    def _close(self) -> None:
        try:
            self._publisher.close()
        # An error here must not end the thread.
        except Exception:
            _log.exception("publisher_close_failed")

    def _must_stop(self) -> bool:
        self._heartbeat.beat()  # called between two calls of the database
        return time.monotonic() > self._stop_at

    def _report(self, outcome: Published) -> None:
        if outcome.published or outcome.set_aside:
            _log.info("events_published", published=outcome.published, set_aside=outcome.set_aside)
        if not outcome.reason:
            self._failures = 0
            self._outage_log.reset()
            return
        self._failures += 1
        waiting = {"left": outcome.left} if outcome.left else {}
        self._outage_log.write("publish_failed", **waiting, reason=outcome.reason)

    def _wait(self, outcome: Published) -> None:
        if outcome.reason:
            # New events do not shorten it: that would only add load during an outage.
            self._stop.wait(retry_delay(self._failures, RECONNECT_SECONDS))
        elif outcome.left:
            self._wake.wait(REFUSED_SECONDS)
        # After publishing, keep the connections for IDLE_SECONDS: more events are likely.
        elif not self._wake.wait(IDLE_SECONDS if outcome.published else 0.0):
            self._close()
            self._wake.wait(SWEEP_SECONDS)
