"""Pauses: rows of ``toast_pauses``, which every pass reads with the clock as it begins."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from common.database.audit import Changed, Operator
from common.database.session import Connection, Session
from common.logging.redaction import redact

_COLUMNS = "pause.until, pause.reason, pause.paused_by, pause.host, pause.paused_at"

# One statement, because each costs an idle pass a twentieth of its time; and without a condition,
# because a new session looks up every operator. The table is empty but while something is paused.
_NOW = "SELECT clock_timestamp() AS now, EXISTS (SELECT FROM toast_pauses) AS any_pause"

_OF_JOB = f"""
SELECT {_COLUMNS} FROM toast_pauses AS pause
WHERE pause.service = %s AND pause.scheduler = %s
  AND (pause.until IS NULL OR pause.until > %s)"""

_ALL = f"""
SELECT pause.service, pause.scheduler, {_COLUMNS} FROM toast_pauses AS pause
WHERE pause.until IS NULL OR pause.until > clock_timestamp()"""

_FORGET = "DELETE FROM toast_pauses WHERE until <= clock_timestamp()"

_BEGIN = """
WITH changed AS (
    INSERT INTO toast_pauses (service, scheduler, until, reason, paused_by, host)
    SELECT %(service)s, scheduler,
           coalesce(%(until)s::timestamptz, clock_timestamp() + %(span)s::interval),
           %(reason)s, %(paused_by)s, %(host)s
    FROM unnest(%(schedulers)s::text[]) AS scheduler ORDER BY scheduler
    ON CONFLICT (service, scheduler) DO UPDATE SET
        until = excluded.until, reason = excluded.reason, paused_by = excluded.paused_by,
        host = excluded.host, paused_at = excluded.paused_at
    RETURNING scheduler AS id
)"""

_END = """
WITH changed AS (
    DELETE FROM toast_pauses
    WHERE service = %(service)s AND scheduler = ANY (%(schedulers)s) RETURNING scheduler AS id
)"""


# How the line about a pause begins, also in the run history.
LINE_BEGINS = "paused until "


@dataclass(frozen=True, slots=True)
class Pause:
    """A pause that is in effect; ``until`` is None if it lasts until somebody resumes."""

    until: datetime | None
    reason: str
    paused_by: str
    host: str
    paused_at: datetime

    def __str__(self) -> str:
        """Until when, who and why, as one line."""
        end = f"{self.until:%Y-%m-%d %H:%M:%S} UTC" if self.until else "it is resumed"
        return f"{LINE_BEGINS}{end}, by {self.paused_by} on {self.host}: {self.reason}"


@dataclass(frozen=True, slots=True)
class End:
    """When a pause ends: ``at`` a time, ``after`` a time span, or if neither, when resumed."""

    at: datetime | None = None
    after: timedelta | None = None

    def __str__(self) -> str:
        if self.at:
            return f"until {self.at:%Y-%m-%d %H:%M} UTC"
        return f"for {self.after}" if self.after else "indefinitely"


def now_and_pause(
    connection: Connection, service: str, scheduler: str
) -> tuple[datetime, Pause | None]:
    """The database's clock, and the pause of this scheduler if it has one now."""
    [row] = connection.execute(_NOW)
    now = row["now"]
    if not row["any_pause"]:
        return now, None
    pause = connection.execute(_OF_JOB, (service, scheduler, now)).fetchone()
    return now, Pause(**pause) if pause else None


def in_effect(connection: Connection) -> dict[tuple[str, str], Pause]:
    """Every pause that is in effect, by service and scheduler."""
    rows = connection.execute(_ALL).fetchall()
    return {(row.pop("service"), row.pop("scheduler")): Pause(**row) for row in rows}


def begin(
    connection: Session,
    operator: Operator,
    service: str,
    schedulers: Sequence[str],
    reason: str,
    end: End,
) -> Changed:
    """Pause these schedulers; a pause that they have is replaced."""
    pause: dict[str, Any] = {
        "service": service,
        "schedulers": list(schedulers),
        "until": end.at,
        "span": end.after,
        "reason": connection.storable(redact(reason)),
        "paused_by": connection.storable(operator.login),
        "host": operator.host,
    }
    connection.execute(_FORGET)
    return Changed.of(connection, _BEGIN, pause)


def end(connection: Session, service: str, schedulers: Sequence[str]) -> Changed:
    """End the pauses of these schedulers."""
    connection.execute(_FORGET)
    return Changed.of(connection, _END, {"service": service, "schedulers": list(schedulers)})
