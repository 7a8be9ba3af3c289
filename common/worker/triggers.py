"""Wakes the loops that operators have triggered; all of them if none is named."""

import threading
import time
from collections.abc import Mapping, Sequence

import psycopg

from common.database.connection import Database
from common.database.controls import triggers
from common.errors import LimitReached, naming_limits
from common.logging import logs
from common.scheduling.loop import Loop

_log = logs.logger(__name__)

READ_SECONDS = 10.0
# Of two signals in a row, the first may have led to what both are for.
SIGNAL_SECONDS = 2.0


class Triggers:
    """Reads what is to run, on a thread of its own: it may have to wait for PostgreSQL."""

    def __init__(self, service: str, database: Database, loops: Sequence[Loop]) -> None:
        self._service = service
        self._database = database
        self._loops = {loop.name: loop for loop in loops}
        self._lock = threading.Lock()
        self._taken_at = float("-inf")

    def wake(self) -> None:
        """Wake the loops that are to run, soon; returns at once."""
        try:
            with naming_limits():
                threading.Thread(target=self._run, name="triggers", daemon=True).start()
        except LimitReached:
            self._wake_all()

    def _run(self) -> None:
        with self._lock, logs.bind(service=self._service):
            wanted = self._take()
            for name, age in wanted.items():
                _log.info("pass_triggered", scheduler=name)
                self._loops[name].request(time.monotonic() - age)
            if wanted:
                self._taken_at = time.monotonic()
            elif time.monotonic() - self._taken_at > SIGNAL_SECONDS:
                self._wake_all()

    def _take(self) -> Mapping[str, float]:
        try:
            with self._database.connect_for(READ_SECONDS) as connection:
                return triggers.take(connection, self._service, list(self._loops))
        except (psycopg.Error, LimitReached) as error:
            _log.warning("trigger_read_failed", error=error)
            return {}

    def _wake_all(self) -> None:
        _log.info("run_now_requested")
        for loop in self._loops.values():
            loop.wake()
