"""What both schedulers do: fetch the stalest first, record each in its own transaction, go on.

A failure is stored with its reason and a retry time whose delay doubles, so a subject that always
fails does not delay the others. The pass as a whole fails only if Battle.net does not reply, or an
error of our own happens for every subject.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice
from typing import Any, Generic, TypeVar
from uuid import UUID

from common import failpoints
from common.config import Variable
from common.database import TableAccess, failed_rows
from common.database.error_classification import reason
from common.database.row_guard import RowGuard
from common.errors import PassError, RemoteAway
from common.events.envelope import Event
from common.logging import logs
from common.remote.thread_pool import ThreadPool
from common.scheduling import Condition, Custom, Pass, PassResult
from common.scheduling.work.due_rows import DueRows, all_of
from common.scheduling.work.pass_lock import exclusive
from workers.warcraft.battle_net.client import REGION, SETTINGS, BattleNet
from workers.warcraft.battle_net.errors import (
    BattleNetError,
    NotFound,
    Refused,
    StopRequested,
    Unavailable,
)
from workers.warcraft.battle_net.rate_limit import MOST_IN_FLIGHT

T = TypeVar("T")

_log = logs.logger(__name__)

# A subject is due after this share of the interval: less than 1, so that a pass that starts a
# little early still finds what the last pass synced; a restart or another machine repeats nothing.
DUE_AFTER = 0.9
PAGE_ROWS = 500
# Subjects given to the threads: enough that no thread waits for the one that records.
MOST_SUBMITTED = 2 * MOST_IN_FLIGHT
PROGRESS_SECONDS = 1.0
# So many subjects in a row without a reply, each after several tries, are an outage.
MOST_UNAVAILABLE = 10
# So many errors of our own, and no subject synced: the subjects are not the cause.
MOST_OWN_ERRORS = 3
# Battle.net may reply 404 for an existing character for days.
GRACE = timedelta(days=7)
FIRST_DELAY_NOT_FOUND = timedelta(hours=1)
FIRST_DELAY = timedelta(minutes=5)

# The position is a time as PostgreSQL's text: Python has neither infinity nor all years of
# PostgreSQL, and a changed time would be another position.
_PAGE = """
SELECT id, name, realm, region, place::text AS place
FROM (SELECT *, coalesce(last_synced_at, '-infinity') AS place FROM ({due}) AS due) AS due
WHERE %(after)s::uuid IS NULL OR (place, id) > (%(place)s::timestamptz, %(after)s::uuid)
ORDER BY due.place, id
LIMIT %(rows)s"""

_NOW = "SELECT clock_timestamp() AS now"


@dataclass(frozen=True, slots=True)
class SyncSubject:
    """One character or guild to sync; ``region`` is that of the API to call."""

    id: UUID
    name: str
    realm: str
    region: str

    def __str__(self) -> str:
        return f"{self.name} of {self.realm} ({self.region})"


Fetch = Callable[[SyncSubject], T]


@dataclass(frozen=True, slots=True)
class Sync(Generic[T]):
    """One scheduler's work.

    ``kind`` is what a subject is called, also in ``rows``, the FROM of its table; ``last_synced``
    is the column of its last sync. ``fetch`` gets the API and returns a function that fetches one
    subject, on a thread of its own; ``record`` stores the result in a transaction, with the given
    time.
    """

    kind: str
    rows: str
    last_synced: str
    interval: Variable[Any]
    fetch: Callable[[BattleNet], Fetch[T]]
    record: Callable[[Pass, SyncSubject, T, datetime], PassResult]
    tables: tuple[TableAccess, ...]
    events: tuple[Event, ...]

    @property
    def work(self) -> Custom:
        """What a pass does; on one machine at a time."""
        due_rows = DueRows(
            f"{self.select} ORDER BY last_synced_at NULLS FIRST, id", self._parameters
        )
        return exclusive(
            Custom(
                run=self.run,
                preview=due_rows.preview,  # sends no request to Battle.net
                backlog=due_rows.backlog,
                due=self.due,
                settings=SETTINGS,
                tables=self.tables,
                events=self.events,
            )
        )

    @property
    def due(self) -> tuple[Condition, ...]:
        """When a subject is due."""
        synced = self.last_synced
        return (
            Condition("not deleted", f"{self.kind}.deleted_at IS NULL"),
            Condition(
                "not synced within the interval",
                f"{synced} IS NULL OR {synced} <= %(synced_before)s",
            ),
            Condition("not set aside", failed_rows.not_set_aside(f"{self.kind}.id")),
        )

    @property
    def select(self) -> str:
        """SQL that selects the due subjects; the parameter ``region`` is for rows without one."""
        return f"""
SELECT {self.kind}.id, {self.kind}.name, {self.kind}.realm,
       coalesce(nullif(lower({self.kind}.region), ''), %(region)s) AS region,
       {self.last_synced} AS last_synced_at
FROM {self.rows} WHERE {all_of(self.due)}"""

    def run(self, current: Pass) -> PassResult:
        """Sync everything that is due. Raises PassError if no single subject is the cause."""
        total, unavailable, own_errors = PassResult(), 0, 0
        fetch = _returning_errors(self.fetch(BattleNet(current.settings, current.wait)))
        with ThreadPool(fetch, MOST_IN_FLIGHT, "battle-net") as pool:
            for subject, outcome in self._results(pool, current):
                done = self._handle(current, subject, outcome)
                current.report_progress(done)
                total += done
                own_errors += isinstance(outcome, Exception) and not isinstance(
                    outcome, BattleNetError
                )
                is_away = isinstance(outcome, Unavailable | Refused)
                unavailable = unavailable + 1 if is_away else 0
                if unavailable == MOST_UNAVAILABLE:
                    permanent = isinstance(outcome, Refused)
                    raise (PassError if permanent else RemoteAway)(
                        f"Battle.net does not answer: {outcome} "
                        f"({total.processed} synced, {total.failed} not, before giving up)"
                    )
        if own_errors >= MOST_OWN_ERRORS and not total.processed:
            raise PassError(
                "an error of our own, whose traceback is in the log "
                f"({own_errors} times; nothing was synced), such as for {total.note}"
            )
        if current.stopping():
            return total + PassResult(complete=False)
        failed_rows.forget_recovered(current.connection, current.scheduler, current.now)
        return total

    def _results(
        self, pool: ThreadPool[SyncSubject, T | BattleNetError], current: Pass
    ) -> Iterator[tuple[SyncSubject, T | Exception]]:
        """Every due subject's result as it is ready; ends early if the worker stops."""
        subjects = self._subjects(current)
        while not current.stopping():
            for subject in islice(subjects, MOST_SUBMITTED - pool.in_flight):
                pool.submit(subject)
            if not pool.in_flight:
                return
            result = next(pool.finished(PROGRESS_SECONDS), None)
            if result is None:
                current.report_progress()  # Battle.net may ask to wait for an hour
            elif not isinstance(result[1], StopRequested):
                yield result

    def _parameters(self, current: Pass) -> dict[str, Any]:
        return {
            "scheduler": current.scheduler,
            "now": current.now,
            "synced_before": current.now - current.settings[self.interval] * DUE_AFTER,
            "region": current.settings[REGION],
        }

    def _subjects(self, current: Pass) -> Iterator[SyncSubject]:
        """The due subjects, the stalest first, read a page at a time."""
        place: dict[str, Any] = {"after": None, "place": None, "rows": PAGE_ROWS}
        page = _PAGE.format(due=self.select)
        while rows := current.connection.execute(
            page, {**self._parameters(current), **place}
        ).fetchall():
            for row in rows:
                yield SyncSubject(row["id"], row["name"], row["realm"], row["region"])
            place |= {"after": rows[-1]["id"], "place": rows[-1]["place"]}

    def _handle(self, current: Pass, subject: SyncSubject, outcome: T | Exception) -> PassResult:
        if isinstance(outcome, Exception):
            return self._failed(current, subject, outcome)
        result = PassResult()
        with RowGuard() as guard, current.connection.begin():
            result = self.record(current, subject, outcome, self._now(current))
            failpoints.reach("commit")
        return self._failed(current, subject, guard.error) if guard.error else result

    def _failed(self, current: Pass, subject: SyncSubject, error: Exception) -> PassResult:
        """Store the failure and count it; a 404 counts only after GRACE."""
        missing = isinstance(error, NotFound)
        why, counts = failed_rows.set_aside(
            current.connection,
            current.scheduler,
            subject.id,
            reason(error),
            self._now(current),
            first_delay=FIRST_DELAY_NOT_FOUND if missing else FIRST_DELAY,
            grace=GRACE if missing else timedelta(0),
        )
        fields = {self.kind: str(subject), f"{self.kind}_id": subject.id, "reason": why}
        if not counts:
            _log.info("subject_not_found", **fields)
            return PassResult(details={"not_found": 1})
        if missing:
            why = f"not found, and not synced for more than {GRACE.days} days"
            _log.error("subject_missing", **fields)
        else:
            _log.error("sync_failed", **fields)
        return PassResult(failed=1, note=f"{self.kind} {subject}: {why}")

    def _now(self, current: Pass) -> datetime:
        """The time now: with its start time, a long pass would make its own rows due too early."""
        row = current.connection.execute(_NOW).fetchone()
        now: datetime = row["now"] if row else current.now
        return now


def _returning_errors(fetch: Fetch[T]) -> Fetch[T | BattleNetError]:
    """The function, with Battle.net's errors as results: the pool reports those that it raises."""

    def call(subject: SyncSubject) -> T | BattleNetError:
        try:
            return fetch(subject)
        except BattleNetError as error:
            return error

    return call
