"""The statement of a walk, run on one range of places after another, and the rows that it fails on.

A row is to blame for an error if the statement succeeds without it, whatever the error says: a
trigger raises what it likes. A row that is found and locked, and unchanged afterwards, again and
again, is as bad: a trigger or a rule undoes what we do.
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

# What an eager batch waits for a lock before it passes over what is locked.
EAGER_LIMITS = {"lock_timeout": "100ms"}
# Rows that are tried together where one is known to fail: enough to share the cost of a statement,
# few enough for little to be done in vain.
SUSPECT_ROWS = 64
# What such a try may take: a row may wait for a lock, or its trigger for a long time.
SUSPECT_LIMITS = {"lock_timeout": "500ms", "statement_timeout": "15s"}
# Rows passed over because they failed before; more than this says that the table's own rules
# have changed, and an operator must look.
MOST_FAILED_ROWS = 10_000


@dataclass(slots=True)
class Batches:
    """Runs the statement ``batch`` of a walk, and ``eager`` where that is asked for; ``due``
    selects what it has to change.

    ``heaps`` names the table by whose places the rows are chosen, ``share`` is the part of them
    that is done with the batch at hand. ``is_careful`` says that unchanged rows are bad ones.
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
        """Change the rows of a range; returns what was done, and how many were unchanged."""
        return self._run(first, end, eager=eager)

    def run_all_but_bad_rows(self, first: int, end: int) -> PassResult:
        """Run a range in which some rows fail, in groups, and set aside those that do."""
        # Without any row it must succeed, or no row is to blame.
        self._run(first, first)
        total = PassResult()
        # Where rows are unchanged, no others are due any more.
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
        """Run some rows; where one fails, halve them until that row stands alone."""
        if self.current.stopping():
            return PassResult(complete=False)
        if len(places) == 1:
            return self._at_one_place(places[0])
        try:
            # So small a range costs more to plan than to run.
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
        """Run the row at this place, or one after the other where several heaps have one."""
        ids = ctid.ids(self.current.connection, self.heaps, self.id_column, place)
        if not ids:
            # Moved by another session meanwhile, and met again later; or there never was a row to
            # blame, as with a trigger against every statement, and then this fails again.
            return self._run(place, place + 1)[0]
        total = PassResult()
        for row in ids:
            total += self._alone(place, row, [other for other in ids if other != row])
        return total

    def _alone(self, place: int, row: UUID, others: Sequence[UUID]) -> PassResult:
        try:
            done, unchanged = self._run(place, place + 1, without=others, prepare=True)
            if unchanged and self.is_careful:  # perhaps it was changed by another session just then
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
                # Another process may have done these rows a moment before: they are not due any
                # more then. Otherwise it is a fault of a row, and comes again.
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
        """Run the eager statement; None where a row is locked."""
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
