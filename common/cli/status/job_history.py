"""The state of every scheduler, from the run history and the sessions of one database."""

import socket
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from operator import itemgetter
from pathlib import Path

from psycopg.rows import DictRow

from common.cli.status import sessions
from common.cli.status.sessions import Activity
from common.config import Settings
from common.database.controls import pauses
from common.database.controls.pauses import Pause
from common.database.session import Session
from common.scheduling import first_pass
from common.scheduling.overdue import overdue_after
from common.scheduling.scheduler import Scheduler

OK, FAILING, RUNNING, OVERDUE, WAITING = "ok", "failing", "running", "overdue", "waiting"
DISABLED, NEVER_RAN, UNKNOWN, PAUSED = "disabled", "never ran", "unknown", "paused"

# States in which an operator must act.
BAD = frozenset({FAILING, OVERDUE, WAITING, NEVER_RAN, UNKNOWN})

# Enough for a sparkline, and to find a running pass behind skipped ones.
RECENT_RUNS = 24
# A scheduler that fails every second has more; the exact number is not needed.
MOST_RUNS = 10_000

# A pass takes unusually long after this many times the longest of the last ones, and these seconds.
SLOW_TIMES = 3
SLOW_SECONDS = 5.0

# The last runs of each job, the newest first.
_RECENT = f"""
SELECT run.* FROM unnest(%(services)s::text[], %(schedulers)s::text[]) AS job (service, scheduler)
CROSS JOIN LATERAL (
    SELECT service, scheduler, host, process, started_at, result, counts, error, next_at,
           extract(epoch FROM finished_at - started_at)::float AS seconds
    FROM toast_runs
    WHERE service = job.service AND scheduler = job.scheduler
    ORDER BY started_at DESC LIMIT {RECENT_RUNS}
) AS run"""

# For each job: the last success, and the runs and failures of the last 24 hours.
_TOTALS = f"""
SELECT job.service, job.scheduler, day.runs, day.failures, (
    SELECT finished_at FROM toast_runs
    WHERE service = job.service AND scheduler = job.scheduler AND result = 'ok'
    ORDER BY started_at DESC LIMIT 1
) AS last_success
FROM unnest(%(services)s::text[], %(schedulers)s::text[]) AS job (service, scheduler)
CROSS JOIN LATERAL (
    SELECT count(*) AS runs, count(*) FILTER (WHERE result = 'failed') AS failures FROM (
        SELECT result FROM toast_runs
        WHERE service = job.service AND scheduler = job.scheduler
          AND started_at > now() - interval '24 hours'
        ORDER BY started_at DESC LIMIT {MOST_RUNS}
    ) AS run
) AS day"""

_NOW = "SELECT clock_timestamp() AS now"

# The index has the newest runs first. Of a table that is not analysed the planner expects a handful
# of rows, and would read and sort all of them.
_IN_ORDER = {"enable_bitmapscan": "off"}


@dataclass(frozen=True, slots=True)
class Job:
    """One scheduler; times are by the database's clock, ``interval`` and durations in seconds.

    ``durations`` are those of the last runs, oldest first. ``next_run`` is None if it is unknown,
    soon because of a failure, or will not happen because the process is down. ``running_for`` is
    set if the current pass takes unusually long, and ``waits`` is what it waits for, if known.
    ``pause`` is the one that is in effect, also if the scheduler is disabled.
    """

    service: str
    scheduler: str
    enabled: bool
    interval: float
    state: str
    last_run: datetime | None = None
    seconds: float | None = None
    counts: Mapping[str, int] = field(default_factory=dict)
    last_success: datetime | None = None
    next_run: datetime | None = None
    runs_24h: int = 0
    failures_24h: int = 0
    durations: Sequence[float] = ()
    error: str = ""
    running_for: float | None = None
    waits: str = ""
    pause: Pause | None = None


# Stands for a run where there is none.
NO_RUN: DictRow = {"started_at": None, "seconds": None, "result": None, "counts": {}, "error": ""}


class RunHistory:
    """The last runs of one scheduler; each may be NO_RUN.

    ``last_result`` is not of a stopped or skipped pass, unless that waits for `toast takeover`;
    ``shown`` is the run to show as the last.
    """

    def __init__(self, runs: Sequence[DictRow], is_alive: Callable[[DictRow], bool]) -> None:
        """``runs`` has the newest first."""
        # A run that was killed never ends; its host has begun another one since.
        of_host = {run["host"]: run for run in reversed(runs)}
        endless = (run for run in of_host.values() if run["result"] is None and is_alive(run))
        finished = [run for run in runs if run["result"] is not None]
        decided = (
            run
            for run in finished
            if run["result"] in ("ok", "failed")
            or first_pass.is_waiting(run["result"], run["error"])
        )
        self.running = max(endless, key=itemgetter("started_at"), default=NO_RUN)
        self.last_finished = next(iter(finished), NO_RUN)
        self.last_result = next(decided, NO_RUN)
        shown = (self.running, self.last_result, self.last_finished)
        self.shown = next((run for run in shown if run is not NO_RUN), NO_RUN)
        self.durations = [run["seconds"] for run in reversed(finished)]
        self._planned = [run for run in runs if run["next_at"] is not None]

    def next_run(self, now: datetime, interval: timedelta) -> datetime | None:
        """When one of the processes runs the next pass, as far as it is known."""
        if self.running is not NO_RUN or not self._planned:
            began: datetime | None = self.shown["started_at"]
            return began + interval if began else None
        # The last plan of each host: of its earlier processes, none is there any more.
        of_host: dict[str, datetime] = {
            run["host"]: run["next_at"] for run in reversed(self._planned)
        }
        # A plan of the past is carried out now, or by nobody.
        ahead = [plan for plan in of_host.values() if plan > now]
        return min(ahead, default=max(of_host.values()))


class History:
    """The run history and the sessions of one database."""

    def __init__(
        self, connection: Session, jobs: Sequence[tuple[str, Scheduler, Settings]]
    ) -> None:
        keys = {
            "services": [service for service, _, _ in jobs],
            "schedulers": [scheduler.name for _, scheduler, _ in jobs],
        }
        row = connection.execute(_NOW).fetchone()
        assert row is not None
        self.now: datetime = row["now"]
        self._pauses = pauses.in_effect(connection)
        self._sessions = sessions.of_workers(connection)
        with connection.begin(_IN_ORDER, read_only=True):
            self._recent = connection.execute(_RECENT, keys).fetchall()
            totals = connection.execute(_TOTALS, keys).fetchall()
        self._totals = {(each["service"], each["scheduler"]): each for each in totals}

    @property
    def busy(self) -> list[Activity]:
        """The sessions whose statement takes unusually long."""
        return [each for each in self._sessions if each.is_busy and each.seconds > SLOW_SECONDS]

    def job(self, service: str, scheduler: Scheduler, settings: Settings) -> Job:
        key = service, scheduler.name
        recent = [run for run in self._recent if (run["service"], run["scheduler"]) == key]
        runs, totals = RunHistory(recent, self._is_alive), self._totals[key]
        interval, enabled = settings[scheduler.interval], settings[scheduler.enabled]
        shown, last = runs.shown, runs.last_result
        next_run = runs.next_run(self.now, interval)
        session = self._busiest(service)
        began = runs.running["started_at"]
        if began is None and enabled:
            began = self._unrecorded_since(next_run, session)
        success = totals["last_success"]
        state = self._state(interval, last, began, success) if enabled else DISABLED
        pause = self._pauses.get(key)
        if pause and enabled:
            state, next_run = PAUSED, pause.until
        running_for = self._slow_for(began, runs.durations)
        return Job(
            *key,
            enabled=enabled,
            interval=interval.total_seconds(),
            state=state,
            last_run=shown["started_at"],
            seconds=last["seconds"],
            counts=last["counts"],
            last_success=success,
            next_run=next_run if enabled and state != FAILING else None,
            runs_24h=totals["runs"],
            failures_24h=totals["failures"],
            durations=runs.durations,
            error=last["error"] or runs.running["error"],
            running_for=running_for,
            waits=session.waits if session and running_for is not None else "",
            pause=pause,
        )

    def _state(
        self,
        interval: timedelta,
        last: DictRow,
        began: datetime | None,
        success: datetime | None,
    ) -> str:
        limit = timedelta(seconds=overdue_after(interval.total_seconds()))
        if began and self.now - began <= limit:
            return RUNNING
        if last["result"] == "failed":
            return FAILING
        if first_pass.is_waiting(last["result"], last["error"]):
            return WAITING
        if success is None:
            return NEVER_RAN
        return OVERDUE if self.now - success > limit else OK

    def _unrecorded_since(self, due: datetime | None, session: Activity | None) -> datetime | None:
        """When a pass began that cannot record its start, such as when a COMMIT hangs."""
        if session is None or not (session.is_busy or session.is_hidden):
            return None
        tolerance = timedelta(seconds=SLOW_SECONDS)
        began = self.now - timedelta(seconds=session.seconds)
        if session.is_hidden and due:
            began = due
        too_early = due is not None and began < due - tolerance
        return None if too_early or self.now - began < tolerance else began

    def _slow_for(self, began: datetime | None, durations: Sequence[float]) -> float | None:
        if began is None:
            return None
        seconds = (self.now - began).total_seconds()
        usual = max(SLOW_TIMES * max(durations, default=0.0), SLOW_SECONDS)
        return seconds if seconds > usual else None

    def _busiest(self, service: str) -> Activity | None:
        """The session of a service with the longest statement."""
        ours = [session for session in self._sessions if session.service == service]
        busy = (session for session in ours if session.is_busy or session.is_hidden)
        return next(busy, ours[0] if ours else None)

    def _is_alive(self, run: DictRow) -> bool:
        if run["host"] == socket.gethostname():
            return Path(f"/proc/{run['process']}").exists()
        # Of processes on another machine, only the sessions are visible.
        return any(session.service == run["service"] for session in self._sessions)
