"""What the workers' sessions in PostgreSQL do now, and what they wait for."""

from collections.abc import Sequence
from dataclasses import dataclass

from psycopg.rows import class_row

from common.database.session import Session

# Every role sees that a session exists and which lock blocks it. Other columns are NULL except for
# the same role or one with pg_read_all_stats.
_SESSIONS = """
SELECT substr(application_name, 7) AS service, coalesce(state, '') AS state,
       coalesce(wait_event_type, '') AS kind, coalesce(wait_event, '') AS event,
       coalesce(extract(epoch FROM clock_timestamp() - query_start), 0)::float AS seconds,
       ARRAY(SELECT CASE other.application_name WHEN '' THEN 'process ' || other.pid
                    ELSE other.application_name || ' (process ' || other.pid || ')' END
             FROM pg_stat_activity AS other
             WHERE other.pid = ANY (pg_blocking_pids(session.pid))) AS blockers
FROM pg_stat_activity AS session
WHERE datname = current_database() AND application_name LIKE 'toast-%'
ORDER BY seconds DESC"""

_IDLE = "idle"

# PostgreSQL's wait events, and what they mean.
_WAITS = {
    "SyncRep": "for a standby to confirm its COMMIT (synchronous_standby_names)",
    "ClientRead": "for its worker, not for PostgreSQL",
}


@dataclass(frozen=True, slots=True)
class Activity:
    """One session of a worker; ``seconds`` since its last statement began."""

    service: str
    state: str
    kind: str
    event: str
    seconds: float
    blockers: Sequence[str]

    @property
    def is_hidden(self) -> bool:
        """True if our role may not see what it does."""
        return not self.state

    @property
    def is_busy(self) -> bool:
        return self.state not in ("", _IDLE)

    @property
    def waits(self) -> str:
        """``for ...``, or "" if it does not wait."""
        if self.blockers:
            return f"for a lock of {', '.join(self.blockers)}"
        if self.is_hidden:
            return "for what only a role with pg_read_all_stats may see"
        if self.event in _WAITS:
            return _WAITS[self.event]
        return f"for {self.event} ({self.kind})" if self.event else ""


def of_workers(connection: Session) -> list[Activity]:
    """The sessions of all workers in this database, longest statement first."""
    with connection.cursor(row_factory=class_row(Activity)) as cursor:
        return cursor.execute(_SESSIONS).fetchall()
