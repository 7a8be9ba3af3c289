"""Runs the statement of a BatchedChange on ranges of rows, and isolates the rows that fail.

A row is to blame for an error if the statement succeeds without it; the SQLSTATE does not decide,
because a trigger may raise any. A row that is found, locked and repeatedly unchanged fails, too: a
trigger or a rule undoes the change.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import psycopg

from common import failpoints
from common.database import ctid, failed_rows
from common.database.error_classification import contended, reason, server_fault
from common.errors import PassError
from common.logging import logs
from common.scheduling.scheduler import Pass, PassResult

_log = logs.logger(__name__)

# How long an eager batch waits for a lock before it skips locked rows.
EAGER_LIMITS = {"lock_timeout": "100ms"}
# Rows tried together when one is known to fail: enough to share the cost of a statement, few
# enough to waste little work.
SUSPECT_ROWS = 64
# Limits of such a try: a row may wait for a lock, its trigger for anything.
SUSPECT_LIMITS = {"lock_timeout": "500ms", "statement_timeout": "15s"}
# Failed rows that a pass skips. With more, the rules of the table have probably changed, and an
# operator must look.
MOST_FAILED_ROWS = 10_000


@dataclass(slots=True)
class Batches:
    """Runs ``batch``, or ``eager`` on request, on ranges of rows; ``due`` selects the due rows.

    ``heaps`` names the table whose ctid ranges choose the rows, ``share`` is the part of it that is
    done after the current batch. ``is_careful``: rows that stay unchanged count as failed.
    """

    current: Pass
    table: str
    heaps: str
    id_column: str
    due: str
    batch: str
    eager: str
    parameters: dict[str, Any]
    share: float | None = None
    is_careful: bool = False

    def run(self, first: int, end: int, *, eager: bool = False) -> tuple[PassResult, int]:
        """Change the rows of a range; returns the result and the number unchanged."""
        return self._run(first, end, eager=eager)

    def run_all_but_bad_rows(self, first: int, end: int) -> PassResult:
        """Change the rows of a range in groups, and set aside those that fail."""
        # Without any row it must succeed; otherwise no row is to blame.
        self._run(first, first)
        total = PassResult()
        # Only unchanged rows are still due.
        id_column = self.id_column
        still_due = f"{id_column} IN (SELECT {id_column} FROM ({self.due}) AS due)"
        condition = still_due if self.is_careful else "true"
        parameters = self._parameters(first, end)
        places = ctid.places(self.current.connection, self.heaps, condition, parameters)
        with self.current.connection.limited(SUSPECT_LIMITS):
            for start in range(0, len(places), SUSPECT_ROWS):
                total += self._suspects(places[start : start + SUSPECT_ROWS])
        return total

    def _suspects(self, places: Sequence[int]) -> PassResult:
        """Change these rows; if one fails, halve the group until that row is alone."""
        if self.current.stopping():
            return PassResult(complete=False)
        if len(places) == 1:
            return self._at_one_place(places[0])
        try:
            # Planning such a small range costs more than running it.
            done, unchanged = self._run(places[0], places[-1] + 1, prepare=True)
        except psycopg.Error as error:
            if server_fault(error):
                raise
        else:
            if not (unchanged and self.is_careful):
                return done
        middle = len(places) // 2
        return self._suspects(places[:middle]) + self._suspects(places[middle:])

    def _at_one_place(self, place: int) -> PassResult:
        """Change the row at this place, or one after another if several heaps have one."""
        ids = ctid.ids(self.current.connection, self.heaps, self.id_column, place)
        if not ids:
            # Another session moved the row, and a later round finds it; or no row is to blame, as
            # with a trigger on every statement, and this fails again.
            return self._run(place, place + 1)[0]
        total = PassResult()
        for row in ids:
            total += self._alone(place, row, [other for other in ids if other != row])
        return total

    def _alone(self, place: int, row: UUID, others: Sequence[UUID]) -> PassResult:
        try:
            done, unchanged = self._run(place, place + 1, without=others, prepare=True)
            if unchanged and self.is_careful:  # another session may just have changed it
                done, unchanged = self._run(place, place + 1, without=others, prepare=True)
        except psycopg.Error as error:
            if server_fault(error):
                raise
            if contended(error):
                _log.debug("locked_row_skipped", table=self.table, row_id=row)
                return PassResult()
            return self._set_aside(row, reason(error))
        if unchanged and self.is_careful:
            return done + self._set_aside(row, "unchanged: a trigger or rule keeps it as it is")
        return done

    def _run(
        self,
        first: int,
        end: int,
        *,
        eager: bool = False,
        without: Sequence[UUID] = (),
        prepare: bool = False,
    ) -> tuple[PassResult, int]:
        failpoints.reach("statement")
        parameters = self._parameters(first, end)
        if without:
            parameters["failed_rows"] = [*parameters["failed_rows"], *without]
        counts = self._eagerly(parameters) if eager else None
        if counts is None:
            try:
                counts = self._execute(parameters, prepare)
            except psycopg.errors.UniqueViolation:
                # Another process may have just changed these rows, so they are no longer due.
                # Otherwise a row is to blame, and the second run fails as well.
                counts = self._execute(parameters, prepare)
        found = counts.pop("found", 0)
        result = PassResult(
            processed=counts.pop("processed", 0), events=counts.pop("events", 0), details=counts
        )
        self.current.report_progress(result, share=self.share)
        return result, found - result.processed

    def _parameters(self, first: int, end: int) -> dict[str, Any]:
        return {**self.parameters, "first": ctid.tid(first), "end": ctid.tid(end)}

    def _eagerly(self, parameters: dict[str, Any]) -> dict[str, int] | None:
        """Run the eager statement; None if a row is locked."""
        connection = self.current.connection
        try:
            with connection.limited(EAGER_LIMITS):
                done = connection.execute(self.eager, parameters).rowcount
        except psycopg.errors.LockNotAvailable:
            _log.debug("locked_rows_skipped", table=self.table)
            return None
        return {"found": done, "processed": done}

    def _execute(self, parameters: dict[str, Any], prepare: bool) -> dict[str, int]:
        cursor = self.current.connection.execute(self.batch, parameters, prepare=prepare)
        return dict(cursor.fetchone() or {})

    def _set_aside(self, row: UUID, why: str) -> PassResult:
        current = self.current
        kept = failed_rows.set_aside(current.connection, current.scheduler, row, why, current.now)
        failed: list[UUID] = self.parameters["failed_rows"]
        failed.append(row)
        _log.error("row_set_aside", table=self.table, row_id=row, reason=kept)
        done = PassResult(failed=1, note=f"{self.table} {row}: {kept}")
        current.report_progress(done, share=self.share)
        if len(failed) > 2 * MOST_FAILED_ROWS:
            raise PassError(f"more than {MOST_FAILED_ROWS} rows failed, such as {done.note}")
        return done
