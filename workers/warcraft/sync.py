"""What both schedulers do: ask for the stalest first, record each on its own, go on.

A failure, whatever it is, is remembered with its reason, and its subject left alone for a time
that doubles: so one that always fails costs the others nothing. The pass as a whole fails only
where Battle.net does not answer at all, or an error of our own meets everything.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Generic, TypeVar

from common import failpoints
from common.config import Variable
from common.database.error_classification import reason
from common.database.row_guard import RowGuard
from common.errors import PassError, RemoteAway
from common.logging import logs
from common.scheduling import Pass, PassResult, Preview
from common.scheduling.due_rows import backlog, preview
from workers.warcraft.battle_net.client import REGION, BattleNet
from workers.warcraft.battle_net.errors import NotFound, Refused, Unavailable
from workers.warcraft.fetch_threads import DIED, Fetch, FetchResult, FetchThreads, Subject

T = TypeVar("T")

_log = logs.logger(__name__)

# Synced within this share of the interval is left alone: a restart or another machine repeats
# nothing, and a pass that starts a little early still finds the last one's.
LEFT_ALONE = 0.9
PAGE_ROWS = 500
# So many in a row without an answer, each asked for several times, are an outage.
MOST_UNAVAILABLE = 10
# So many that an error of our own met, and not one that was synced, are no matter of single ones.
MOST_BROKEN = 3
# A character that is alive may be unknown to Battle.net for days.
GRACE = timedelta(days=7)
FIRST_RETRY_NOT_FOUND = timedelta(hours=1)
FIRST_RETRY = timedelta(minutes=5)

# By a time as PostgreSQL writes it: Python knows neither infinity nor the years that PostgreSQL
# knows, and what it takes for another time would be another place.
_PAGE = """
SELECT id, name, realm, region, place::text AS place
FROM (SELECT *, coalesce(last_synced_at, '-infinity') AS place FROM ({due}) AS due) AS due
WHERE %(after)s::uuid IS NULL OR (place, id) > (%(place)s::timestamptz, %(after)s::uuid)
ORDER BY due.place, id
LIMIT %(rows)s"""

# Twice as long each time, up to a day.
_REMEMBER = """
INSERT INTO toast_sync_failures AS known
       (scheduler, subject_id, reason, failures, failed_at, missing_since, retry_at)
SELECT %(scheduler)s, %(id)s, %(reason)s, 1, moment.now,
       CASE WHEN %(missing)s THEN moment.now END, moment.now + %(first_retry)s
FROM (SELECT clock_timestamp() AS now) AS moment
ON CONFLICT (scheduler, subject_id) DO UPDATE SET
    reason = excluded.reason, failures = known.failures + 1, failed_at = excluded.failed_at,
    missing_since = coalesce(known.missing_since, excluded.missing_since),
    retry_at = excluded.failed_at
        + least(interval '1 day', %(first_retry)s * power(2, least(known.failures, 9)))
RETURNING coalesce(missing_since <= failed_at - %(grace)s, false) AS is_overdue"""

_NOW = "SELECT clock_timestamp() AS now"

_FORGET = """
DELETE FROM toast_sync_failures WHERE scheduler = %(scheduler)s AND subject_id = %(id)s"""


@dataclass(frozen=True, slots=True)
class Sync(Generic[T]):
    """One scheduler's work.

    ``due`` selects ``id``, ``name``, ``realm``, ``region`` and ``last_synced_at`` of what to
    sync, by the parameters ``scheduler``, ``now``, ``synced_before`` and ``region``, the one
    of rows that name none. ``fetch`` is given the API and returns what asks it about one
    subject, in a thread of its own; ``record`` writes that down, inside a transaction, as of
    the time it is given.
    """

    kind: str
    due: str
    interval: Variable[Any]
    fetch: Callable[[BattleNet], Fetch[T]]
    record: Callable[[Pass, Subject, T, datetime], PassResult]

    def run(self, current: Pass) -> PassResult:
        """Sync everything that is due. Raises PassError where no subject is to blame."""
        total, unavailable, broken = PassResult(), 0, 0
        with FetchThreads(self.fetch(BattleNet(current.settings, current.wait))) as senders:
            for answer in senders.answers(self._subjects(current), current):
                done = self._settle(current, answer)
                current.report_progress(done)
                total += done
                broken += answer.is_broken
                unavailable = unavailable + 1 if isinstance(answer.outcome, Unavailable) else 0
                if unavailable == MOST_UNAVAILABLE:
                    lasting = isinstance(answer.outcome, Refused)
                    raise (PassError if lasting else RemoteAway)(
                        f"Battle.net does not answer: {answer.outcome} "
                        f"({total.processed} synced, {total.failed} not, before giving up)"
                    )
        if broken >= MOST_BROKEN and not total.processed:
            raise PassError(
                f"{DIED} ({broken} times; nothing was synced), such as for {total.note}"
            )
        return total + PassResult(complete=not current.stopping())

    def preview(self, current: Pass) -> Preview:
        """Say what would be asked for; asks Battle.net nothing."""
        due = f"{self.due} ORDER BY last_synced_at NULLS FIRST, id"
        return preview(current, due, self._parameters(current))

    def backlog(self, current: Pass, most: int) -> int:
        """Count what is due, no further than ``most``."""
        return backlog(current, self.due, self._parameters(current), most)

    def _parameters(self, current: Pass) -> dict[str, Any]:
        return {
            "scheduler": current.scheduler,
            "now": current.now,
            "synced_before": current.now - current.settings[self.interval] * LEFT_ALONE,
            "region": current.settings[REGION],
        }

    def _subjects(self, current: Pass) -> Iterator[Subject]:
        """What is due, the stalest first, a page at a time."""
        place: dict[str, Any] = {"after": None, "place": None, "rows": PAGE_ROWS}
        page = _PAGE.format(due=self.due)
        while rows := current.connection.execute(
            page, {**self._parameters(current), **place}
        ).fetchall():
            for row in rows:
                yield Subject(row["id"], row["name"], row["realm"], row["region"])
            place |= {"after": rows[-1]["id"], "place": rows[-1]["place"]}

    def _settle(self, current: Pass, answer: FetchResult[T]) -> PassResult:
        subject, outcome = answer.subject, answer.outcome
        if isinstance(outcome, Exception):
            return self._failed(current, subject, outcome)
        result = PassResult()
        with RowGuard() as guard, current.connection.begin():
            result = self.record(current, subject, outcome, self._now(current))
            current.connection.execute(_FORGET, self._key(current, subject))
            failpoints.reach("commit")
        return self._failed(current, subject, guard.error) if guard.error else result

    def _failed(self, current: Pass, subject: Subject, error: Exception) -> PassResult:
        """Remember it, and say so; a 404 only when the time of grace is over."""
        missing = isinstance(error, NotFound)
        why = current.connection.storable(reason(error))
        row = current.connection.execute(
            _REMEMBER,
            {
                **self._key(current, subject),
                "reason": why,
                "missing": missing,
                "first_retry": FIRST_RETRY_NOT_FOUND if missing else FIRST_RETRY,
                "grace": GRACE,
            },
        ).fetchone()
        fields = {self.kind: str(subject), f"{self.kind}_id": subject.id, "reason": why}
        if missing and not (row and row["is_overdue"]):
            _log.info("subject_not_found", **fields)
            return PassResult(details={"not_found": 1})
        if missing:
            why = f"not found for more than {GRACE.days} days"
            _log.error("subject_missing", **fields)
        else:
            _log.error("sync_failed", **fields)
        return PassResult(failed=1, note=f"{self.kind} {subject}: {why}")

    def _now(self, current: Pass) -> datetime:
        """Not the pass's time: a long pass would mark as stale what it has only just synced."""
        row = current.connection.execute(_NOW).fetchone()
        now: datetime = row["now"] if row else current.now
        return now

    def _key(self, current: Pass, subject: Subject) -> dict[str, Any]:
        return {"scheduler": current.scheduler, "id": subject.id}
