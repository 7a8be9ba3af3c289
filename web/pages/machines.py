"""The machines: which workers ran on each, their version, and how far their clock is off."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from web.site import Asked

# A day and a little: the longest interval by default. Scheduler by scheduler, by the index.
_LIST = """
SELECT DISTINCT ON (host, service) host, service, process, version, started_at, clock_ahead
FROM unnest(%(services)s::text[], %(schedulers)s::text[]) AS job (service, scheduler)
CROSS JOIN LATERAL (
    SELECT DISTINCT ON (host) host, process, version, started_at, clock_ahead FROM toast_runs
    WHERE service = job.service AND scheduler = job.scheduler
      AND started_at > now() - interval '26 hours'
    ORDER BY host, started_at DESC
) AS run
ORDER BY host, service, started_at DESC"""


@dataclass(frozen=True, slots=True)
class Machines:
    """The last run of each service on each machine; ``clock_ahead`` in seconds."""

    workers: Sequence[dict[str, Any]]


def load(asked: Asked) -> Machines:
    """Read what the runs of the last day have reported."""
    services, schedulers = zip(*asked.site.services.jobs(None, None), strict=True)
    keys = {"services": list(services), "schedulers": list(schedulers)}
    return Machines(asked.connection.execute(_LIST, keys).fetchall())
