"""How many passes ended how, in each half an hour or day: aggregated from the run history."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from common.database import run_history
from common.database.session import Connection

# Periods begin so many times their length after this moment.
_ORIGIN = datetime(2000, 1, 1, tzinfo=UTC)

_PERIODS = f"""
SELECT job.service, job.scheduler, period.* FROM
    unnest(%(services)s::text[], %(schedulers)s::text[], %(since)s::timestamptz[])
        AS job (service, scheduler, since)
CROSS JOIN LATERAL (
    SELECT date_bin(%(length)s, started_at, %(origin)s) AS began,
           max(extract(epoch FROM finished_at - started_at))::float AS longest,
           count(*) FILTER (WHERE outcome = 'ok') AS ok,
           count(*) FILTER (WHERE outcome = 'failed') AS failed,
           count(*) FILTER (WHERE outcome = 'stopped') AS stopped,
           count(*) FILTER (WHERE outcome = 'skipped') AS skipped,
           count(*) FILTER (WHERE outcome = '{run_history.PAUSED}') AS paused
    FROM (
        SELECT started_at, finished_at, {run_history.OUTCOME} AS outcome FROM toast_runs
        WHERE service = job.service AND scheduler = job.scheduler AND started_at >= job.since
    ) AS run GROUP BY began ORDER BY began
) AS period"""


@dataclass(frozen=True, slots=True)
class Period:
    """The passes that began in one period, by their end; ``longest`` of them, in seconds.

    A pass that has not ended is in none of the counts.
    """

    began: datetime
    longest: float | None
    ok: int
    failed: int
    stopped: int
    skipped: int
    paused: int


# Service and scheduler.
JobKey = tuple[str, str]


def begin_of(moment: datetime, length: timedelta) -> datetime:
    """The begin of the period of this length that the moment is in."""
    return moment - (moment - _ORIGIN) % length


def read(
    connection: Connection, since: Mapping[JobKey, datetime], length: timedelta
) -> dict[JobKey, Sequence[Period]]:
    """The periods of each (service, scheduler) in which a pass began, since its own moment.

    The oldest are first. ``length`` is less than a month.
    """
    values = {
        "services": [service for service, _ in since],
        "schedulers": [scheduler for _, scheduler in since],
        "since": list(since.values()),
        "length": length,
        "origin": _ORIGIN,
    }
    found: dict[JobKey, list[Period]] = {job: [] for job in since}
    for row in connection.execute(_PERIODS, values):
        found[row.pop("service"), row.pop("scheduler")].append(Period(**row))
    return dict(found)
