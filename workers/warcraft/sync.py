"""What both schedulers do: fetch the stalest first, record each in its own transaction, go on.

A failure is stored with its reason and a retry time whose delay doubles, so a subject that always
fails does not delay the others. What Battle.net does not tell of a subject is logged, and the rest
is recorded. The pass as a whole fails only if Battle.net does not reply, or an
error of our own happens for every subject.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import islice
from typing import Any, Generic, Protocol, TypeVar

from common import failpoints
from common.config import Variable
from common.database import TableAccess, failed_rows, own_tables
from common.database.error_classification import reason
from common.database.row_guard import RowGuard
from common.database.session import Session
from common.errors import PassError, RemoteAway
from common.logging import logs
from common.remote.thread_pool import ThreadPool
from common.scheduling import Custom, Pass, PassResult, Scheduler
from common.scheduling.under_way.pass_lock import exclusive
from common.texts import change_texts
from workers.warcraft.battle_net.client import CREDENTIALS, REMOTE, SETTINGS, BattleNet
from workers.warcraft.battle_net.errors import (
    BattleNetError,
    NotFound,
    Refused,
    StopRequested,
    Unavailable,
)
from workers.warcraft.battle_net.rate_limit import MOST_IN_FLIGHT
from workers.warcraft.due_subjects import DueSubjects, SyncSubject


class Fetched(Protocol):
    """What was fetched of a subject; ``missing`` says what could not be used, '' if nothing."""

    @property
    def missing(self) -> str: ...


T = TypeVar("T", bound=Fetched)

_log = logs.logger(__name__)

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

Fetch = Callable[[SyncSubject], T]


@dataclass(frozen=True, kw_only=True)
class Sync(DueSubjects, Generic[T]):
    """One scheduler.

    ``fetch`` gets the API and returns a function that fetches one subject, on a thread of its own.

    ``record`` is SQL that records and announces the one row of the CTE ``subject``, in which the
    subject has the ``changes``; it returns the counts of a PassResult. ``values`` returns its
    parameters from what was fetched, in the same transaction, beside ``id``, ``now``, ``region``,
    ``default_region`` and ``is_announced``. ``others`` are the other tables.
    """

    enabled: Variable[bool]
    summary: str
    fetch: Callable[[BattleNet], Fetch[T]]
    record: str
    values: Callable[[Session, T, datetime], dict[str, Any]]
    others: tuple[TableAccess, ...]
    changes: Mapping[str, str] = field(default_factory=dict)

    @property
    def scheduler(self) -> Scheduler:
        """The scheduler, whose passes run on one machine at a time."""
        return Scheduler(
            name=f"{self.kind}-sync",
            summary=self.summary,
            enabled=self.enabled,
            interval=self.interval,
            work=exclusive(
                Custom(
                    run=self._run,
                    preview=self.due_rows.preview,  # sends no request to Battle.net
                    why=self.one_row.why,
                    backlog=self.due_rows.backlog,
                    due=self.due,
                    settings=SETTINGS,
                    tables=(
                        TableAccess(
                            self.table,
                            select=tuple(self.table.columns),
                            update=(*self.changes, "updated_at"),
                        ),
                        *self.others,
                        own_tables.SETTING_ROWS_ASIDE,
                    ),
                    events=self.events,
                    can_be_quiet=True,
                )
            ),
            needs=CREDENTIALS,
            remotes=(REMOTE,),
        )

    @property
    def _record(self) -> str:
        """SQL that records a subject; no change if it was deleted meanwhile."""
        changes = (f"{column} = {value}" for column, value in self.changes.items())
        return f"""
WITH subject AS (
    UPDATE {self.table.name} SET {", ".join((*changes, "updated_at = %(now)s"))}
    WHERE id = %(id)s AND deleted_at IS NULL RETURNING {", ".join(self.table.columns)}
){self.record}"""

    def _run(self, current: Pass) -> PassResult:
        """Sync everything that is due. Raises PassError if no single subject is the cause."""
        total, unavailable, own_errors = PassResult(), 0, 0
        fetch = self.fetch(BattleNet(current.settings, current.wait))
        with ThreadPool(fetch, MOST_IN_FLIGHT, "battle-net", expected=(BattleNetError,)) as pool:
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
        self, pool: ThreadPool[SyncSubject, T], current: Pass
    ) -> Iterator[tuple[SyncSubject, T | Exception]]:
        """Every due subject's result as it is ready; ends early if the worker stops."""
        subjects = self.read(current)
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

    def _handle(self, current: Pass, subject: SyncSubject, outcome: T | Exception) -> PassResult:
        if isinstance(outcome, Exception):
            return self._failed(current, subject, outcome)
        connection, counts = current.connection, dict[str, int]()
        with RowGuard() as guard, connection.begin():
            # With its start time, a long pass would make its own rows due too early.
            now = current.time_now()
            values = {
                **self.parameters(current),
                "id": subject.id,
                "now": now,
                "region": subject.region,
                "is_announced": subject.is_announced,
                **self.values(connection, change_texts(outcome, connection.storable), now),
            }
            [counts] = connection.execute(self._record, values)
            failpoints.reach("commit")
        if guard.error:
            return self._failed(current, subject, guard.error, outcome.missing)
        if outcome.missing:
            _log.warning("reply_parts_missing", **self._fields(subject), missing=outcome.missing)
            counts["incomplete"] = 1
        return PassResult(counts.pop("processed"), counts.pop("events"), details=counts)

    def _failed(
        self, current: Pass, subject: SyncSubject, error: Exception, incomplete: str = ""
    ) -> PassResult:
        """Store the failure and count it; a 404 counts only after GRACE.

        ``incomplete`` says what could not be used of the subject, which may be the cause.
        """
        missing = isinstance(error, NotFound)
        why, counts = failed_rows.set_aside(
            current.connection,
            current.scheduler,
            subject.id,
            f"{reason(error)} ({incomplete})" if incomplete else reason(error),
            current.time_now(),
            first_delay=FIRST_DELAY_NOT_FOUND if missing else FIRST_DELAY,
            grace=GRACE if missing else timedelta(0),
        )
        fields = {**self._fields(subject), "reason": why}
        if not counts:
            _log.info("subject_not_found", **fields)
            return PassResult(details={"not_found": 1})
        if missing:
            why = f"not found, and not synced for more than {GRACE.days} days"
            _log.error("subject_missing", **fields)
        else:
            _log.error("sync_failed", **fields)
        return PassResult(failed=1, note=f"{self.kind} {subject}: {why}")

    def _fields(self, subject: SyncSubject) -> dict[str, object]:
        """Its fields in the log."""
        return {self.kind: str(subject), f"{self.kind}_id": subject.id}
