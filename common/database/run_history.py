"""The run history: one row of ``toast_runs`` per pass, kept for 30 days.

The last success of a scheduler is kept for good: without it a pass counts as the first ever.
"""

import json
import os
import socket
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from common.database.advice import cut
from common.database.controls import pauses
from common.database.session import Connection, Session
from common.version import VERSION

RESULTS = ("ok", "failed", "stopped", "skipped")

PAUSED, NOT_ENDED = "paused", "not ended"

# SQL: how a run ended. One that a pause has skipped or stopped is ``paused``; one that goes on, or
# whose process was killed, has not ended.
OUTCOME = f"""
CASE WHEN result IS NULL THEN '{NOT_ENDED}'
     WHEN result IN ('skipped', 'stopped') AND starts_with(error, '{pauses.LINE_BEGINS}')
     THEN '{PAUSED}' ELSE result END"""
OUTCOMES = (*RESULTS, PAUSED, NOT_ENDED)

# The error of a run must fit into a table cell and a log line.
ERROR_CHARACTERS = 1_000

_START = """
INSERT INTO toast_runs (id, service, scheduler, host, process, version, started_at, clock_ahead)
VALUES (%(id)s, %(service)s, %(scheduler)s, %(host)s, %(process)s, %(version)s, %(started_at)s,
        %(clock_ahead)s)"""

# Also inserts: a run that failed without a database is recorded later. The same statement deletes
# old runs, because each statement costs an idle pass a twentieth of its time.
_FINISH = """
WITH forgotten AS (
    DELETE FROM toast_runs WHERE id = ANY (ARRAY(
        SELECT id FROM toast_runs
        WHERE service = %(service)s AND scheduler = %(scheduler)s
          AND started_at < now() - interval '30 days'
          AND id IS DISTINCT FROM (
              SELECT id FROM toast_runs
              WHERE service = %(service)s AND scheduler = %(scheduler)s AND result = 'ok'
              ORDER BY started_at DESC LIMIT 1)
        LIMIT 10000))
)
INSERT INTO toast_runs (id, service, scheduler, host, process, version, started_at, finished_at,
                        result, counts, error, next_at)
VALUES (%(id)s, %(service)s, %(scheduler)s, %(host)s, %(process)s, %(version)s, %(started_at)s,
        %(started_at)s::timestamptz + %(seconds)s * interval '1 second',
        %(result)s, %(counts)s, %(error)s, %(next_at)s)
ON CONFLICT (id) DO UPDATE SET
    finished_at = excluded.finished_at, result = excluded.result,
    counts = excluded.counts, error = excluded.error, next_at = excluded.next_at"""

_EXPLAIN = "UPDATE toast_runs SET error = %(error)s WHERE id = %(id)s"

_LAST_SUCCESS = """
SELECT finished_at FROM toast_runs
WHERE service = %s AND scheduler = %s AND result = 'ok'
ORDER BY started_at DESC LIMIT 1"""

_LIST = """
SELECT run.* FROM unnest(%(services)s::text[], %(schedulers)s::text[]) AS job (service, scheduler)
CROSS JOIN LATERAL (
    SELECT id, service, scheduler, host, process, started_at, finished_at,
           extract(epoch FROM finished_at - started_at)::float AS seconds, result, counts, error
    FROM toast_runs
    WHERE service = job.service AND scheduler = job.scheduler
      AND (%(since)s::interval IS NULL OR started_at > now() - %(since)s::interval)
      AND (result = 'failed' OR NOT %(only_failed)s)
) AS run
ORDER BY started_at DESC, service, scheduler"""

_PAGE = f"""
SELECT id, host, process, started_at, finished_at,
       extract(epoch FROM finished_at - started_at)::float AS seconds, {OUTCOME} AS outcome,
       counts, error
FROM toast_runs
WHERE service = %(service)s AND scheduler = %(scheduler)s
  AND (%(outcome)s::text IS NULL OR {OUTCOME} = %(outcome)s)
  AND (%(started_at)s::timestamptz IS NULL
       OR (started_at, id) < (%(started_at)s::timestamptz, %(id)s::uuid))
ORDER BY started_at DESC, id DESC LIMIT %(most)s"""

_FAILING_SINCE = """
SELECT min(finished_at) AS since FROM toast_runs
WHERE service = %(service)s AND scheduler = %(scheduler)s
  AND result = 'failed' AND starts_with(error, %(error)s)
  AND started_at > coalesce(
      (SELECT max(started_at) FROM toast_runs
       WHERE service = %(service)s AND scheduler = %(scheduler)s AND result = 'ok'), '-infinity')"""

_TOTAL = """
SELECT coalesce(sum((counts ->> %(count)s)::bigint), 0)::bigint AS total FROM toast_runs
WHERE service = %(service)s AND scheduler = %(scheduler)s
  AND started_at > now() - interval '24 hours'"""


@dataclass(slots=True)
class Run:
    """One pass in the history; ``started_at`` is by the database's clock, or by the host's if
    there was no connection. ``clock_ahead`` are seconds by which the host's clock is ahead.
    ``next_at`` is when its process plans the next pass; None if it plans none, or tries again soon.
    """

    service: str
    scheduler: str
    id: UUID = field(default_factory=uuid4)
    started_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    clock_ahead: float | None = None
    seconds: float = 0.0
    result: str = ""
    counts: dict[str, int] = field(default_factory=dict)
    error: str = ""
    next_at: datetime | None = None
    # True once its start is recorded.
    begun: bool = False
    # True if a pause has skipped or stopped it.
    paused: bool = False

    def record_start(self, connection: Connection) -> None:
        """Record that the pass has begun."""
        connection.execute(_START, self._row())
        self.begun = True

    def explain(self, connection: Session, text: str) -> None:
        """Record a line about the pass while it runs."""
        self.error = text
        connection.execute(_EXPLAIN, {"id": self.id, "error": self._error(connection)})

    def record_end(self, connection: Session) -> None:
        """Record how the pass ended, and delete old runs of this scheduler."""
        outcome = {
            "seconds": self.seconds,
            "result": self.result,
            "counts": json.dumps(self.counts),
            "error": self._error(connection),
            "next_at": self.next_at,
        }
        connection.execute(_FINISH, {**self._row(), **outcome})

    def _error(self, connection: Session) -> str:
        return cut(connection.storable(self.error), ERROR_CHARACTERS)

    def _row(self) -> dict[str, object]:
        return {
            "id": self.id,
            "service": self.service,
            "scheduler": self.scheduler,
            "host": socket.gethostname(),
            "process": os.getpid(),
            "version": VERSION,
            "started_at": self.started_at,
            "clock_ahead": self.clock_ahead,
        }


def listing(
    connection: Session,
    schedulers: Sequence[tuple[str, str]],
    since: timedelta | None,
    *,
    only_failed: bool,
) -> Iterator[dict[str, Any]]:
    """The runs of these (service, scheduler), the newest first; in constant memory."""
    values = {
        "services": [service for service, _ in schedulers],
        "schedulers": [scheduler for _, scheduler in schedulers],
        "since": since,
        "only_failed": only_failed,
    }
    with connection.begin(read_only=True), connection.cursor(name="runs") as cursor:
        yield from cursor.execute(_LIST, values)


def page(
    connection: Connection,
    service: str,
    scheduler: str,
    outcome: str | None,
    *,
    before: tuple[datetime, UUID] | None,
    most: int,
) -> list[dict[str, Any]]:
    """At most so many runs of a scheduler that ended like this, the newest first.

    ``before`` are start and id of the last run of the page before this one.
    """
    started_at, run_id = before or (None, None)
    place = {"outcome": outcome, "started_at": started_at, "id": run_id, "most": most}
    values = {"service": service, "scheduler": scheduler, **place}
    return connection.execute(_PAGE, values).fetchall()


def last_success(connection: Connection, service: str, scheduler: str) -> datetime | None:
    """When a pass of this scheduler last succeeded, in any process; None if unknown."""
    row = connection.execute(_LAST_SUCCESS, (service, scheduler)).fetchone()
    return row["finished_at"] if row else None


def failing_since(
    connection: Connection, service: str, scheduler: str, error: type[Exception]
) -> datetime | None:
    """The end of the first pass that failed by ``error`` since the last success, in any process;
    None if none did."""
    values = {"service": service, "scheduler": scheduler, "error": f"{error.__name__}:"}
    row = connection.execute(_FAILING_SINCE, values).fetchone()
    return row["since"] if row else None


def total_of_a_day(connection: Connection, service: str, scheduler: str, count: str) -> int:
    """The sum of one count over the passes of the last 24 hours, of any process."""
    values = {"service": service, "scheduler": scheduler, "count": count}
    row = connection.execute(_TOTAL, values).fetchone()
    return row["total"] if row else 0
