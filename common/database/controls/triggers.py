"""Triggers: rows of ``toast_triggers``, which a worker takes when it gets a signal."""

import os
import socket
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from common.database.audit import Changed
from common.database.session import Connection

# A row that its worker has not taken by then is void: the command or the worker has ended.
SECONDS = 60

_REQUEST = f"""
WITH void AS (
    DELETE FROM toast_triggers
    WHERE requested_at < clock_timestamp() - interval '{SECONDS} seconds'
), changed AS (
    INSERT INTO toast_triggers (service, scheduler, host, process, requested_at)
    SELECT %(service)s, scheduler, %(host)s, %(process)s, %(requested_at)s
    FROM unnest(%(schedulers)s::text[]) AS scheduler RETURNING scheduler AS id
)"""

_TAKE = f"""
DELETE FROM toast_triggers
WHERE service = %(service)s AND host = %(host)s AND process = %(process)s
  AND scheduler = ANY (%(schedulers)s)
  AND requested_at > clock_timestamp() - interval '{SECONDS} seconds'
RETURNING scheduler, extract(epoch FROM clock_timestamp() - requested_at)::float AS age"""

# The last runs of these schedulers on one host; those of other hosts are between them.
_RECENT = """
WITH recent AS (
    SELECT run.* FROM unnest(%(schedulers)s::text[]) AS job (scheduler)
    CROSS JOIN LATERAL (
        SELECT * FROM toast_runs
        WHERE service = %(service)s AND scheduler = job.scheduler
        ORDER BY started_at DESC LIMIT 200
    ) AS run WHERE run.host = %(host)s
)"""

_PROCESSES = f"""{_RECENT}
SELECT process FROM recent GROUP BY process ORDER BY max(started_at) DESC"""

# Not by the clock: a pass that is about to end, or to be recorded, must not be missed.
_BEFORE = f"""{_RECENT}
SELECT clock_timestamp() AS now,
       coalesce(array_agg(id) FILTER (WHERE result IS NOT NULL), '{{}}') AS ended
FROM recent"""

_OUTCOMES = f"""{_RECENT}
SELECT DISTINCT ON (scheduler) scheduler, result, counts, error, started_at,
       extract(epoch FROM finished_at - started_at)::float AS seconds
FROM recent
WHERE process = %(process)s AND result IS NOT NULL AND NOT id = ANY (%(ended_before)s)
ORDER BY scheduler, started_at"""


@dataclass(frozen=True, slots=True)
class Trigger:
    """One pass of each of these schedulers, by one process on this host.

    ``requested_at`` is by the database's clock; these runs had ``ended_before``.
    """

    service: str
    schedulers: Sequence[str]
    process: int
    requested_at: datetime
    ended_before: Sequence[UUID] = ()
    host: str = field(default_factory=socket.gethostname)


def new(connection: Connection, service: str, schedulers: Sequence[str], process: int) -> Trigger:
    """A trigger of now."""
    [row] = connection.execute(_BEFORE, _on_this_host(service, schedulers))
    return Trigger(service, schedulers, process, row["now"], row["ended"])


def request(connection: Connection, trigger: Trigger) -> Changed:
    """Leave it for the process, which takes it when it gets a signal."""
    return Changed.of(connection, _REQUEST, asdict(trigger))


def withdraw(connection: Connection, trigger: Trigger) -> list[str]:
    """Delete what the process has not taken; returns those schedulers."""
    return [row["scheduler"] for row in connection.execute(_TAKE, asdict(trigger))]


def take(connection: Connection, service: str, schedulers: Sequence[str]) -> dict[str, float]:
    """What this process is to run, each with how many seconds ago that was requested."""
    mine = {**_on_this_host(service, schedulers), "process": os.getpid()}
    return {row["scheduler"]: row["age"] for row in connection.execute(_TAKE, mine)}


def outcomes(connection: Connection, trigger: Trigger) -> dict[str, dict[str, Any]]:
    """The first run of each scheduler that has ended since: also one that had begun before."""
    rows = connection.execute(_OUTCOMES, asdict(trigger))
    return {row["scheduler"]: row for row in rows}


def processes(connection: Connection, service: str, schedulers: Sequence[str]) -> list[int]:
    """The processes of this host that ran these schedulers, the last one first."""
    rows = connection.execute(_PROCESSES, _on_this_host(service, schedulers))
    return [row["process"] for row in rows]


def _on_this_host(service: str, schedulers: Sequence[str]) -> dict[str, Any]:
    return {"service": service, "schedulers": list(schedulers), "host": socket.gethostname()}
