"""Isolates the rows of a batched change that fail, and sets them aside.

A row is to blame for an error if the statement succeeds without it; the SQLSTATE does not decide,
because a trigger may raise any. A row that is found, locked and repeatedly unchanged fails, too: a
trigger or a rule undoes the change.
"""

from collections.abc import Sequence
from uuid import UUID

import psycopg

from common.database import failed_rows
from common.database.error_classification import contended, reason, server_fault
from common.errors import PassError
from common.logging import logs
from common.scheduling.scheduler import PassResult
from common.scheduling.work import ctid
from common.scheduling.work.batches import Batches, Done

_log = logs.logger(__name__)

# Rows tried together when one is known to fail: enough to share the cost of a statement, few
# enough to waste little work.
SUSPECT_ROWS = 64
# Limits of such a try: a row may wait for a lock, its trigger for anything.
SUSPECT_LIMITS = {"lock_timeout": "500ms", "statement_timeout": "15s"}
# Rows that a pass sets aside. With more, the rules of the table have probably changed, and an
# operator must look.
MOST_FAILED_ROWS = 10_000


class BadRows:
    """Runs batches so that a bad row stops no other one."""

    def __init__(self, batches: Batches, *, unchanged_is_bad: bool) -> None:
        """``unchanged_is_bad``: a row that stays unchanged counts as failed."""
        self._batches = batches
        self._unchanged_is_bad = unchanged_is_bad
        self._current = batches.current
        self._statements = batches.statements

    def change_all_others(self, first: int, end: int) -> PassResult:
        """Change the rows of a range in groups, and set aside those that fail."""
        # Without any row it must succeed; otherwise no row is to blame.
        self._batches.run(first, first)
        # Only unchanged rows are still due.
        id_column, due = self._statements.id_column, self._statements.due
        still_due = f"{id_column} IN (SELECT {id_column} FROM ({due}) AS due)"
        condition = still_due if self._unchanged_is_bad else "true"
        places = self._batches.places(first, end, condition)
        total = PassResult()
        with self._current.connection.limited(SUSPECT_LIMITS):
            for start in range(0, len(places), SUSPECT_ROWS):
                total += self._change(places[start : start + SUSPECT_ROWS])
        return total

    def _change(self, places: Sequence[int]) -> PassResult:
        """Change these rows; if one fails, halve the group until that row is alone."""
        if self._current.stopping():
            return PassResult(complete=False)
        if len(places) == 1:
            return self._change_at(places[0])
        try:
            # Planning such a small range costs more than running it.
            done = self._batches.run(places[0], places[-1] + 1, prepare=True)
        except psycopg.Error as error:
            if server_fault(error):
                raise
        else:
            if not self._is_bad(done):
                return done.result
        middle = len(places) // 2
        return self._change(places[:middle]) + self._change(places[middle:])

    def _change_at(self, place: int) -> PassResult:
        """Change the row at this place, or one after another if several heaps have one."""
        heaps, id_column = self._statements.heaps, self._statements.id_column
        ids = ctid.ids(self._current.connection, heaps, id_column, place)
        if not ids:
            # Another session moved the row, and a later round finds it; or no row is to blame, as
            # with a trigger on every statement, and this fails again.
            return self._batches.run(place, place + 1).result
        total = PassResult()
        for row in ids:
            total += self._change_one(place, row, [other for other in ids if other != row])
        return total

    def _change_one(self, place: int, row: UUID, others: Sequence[UUID]) -> PassResult:
        try:
            done = self._batches.run(place, place + 1, without=others, prepare=True)
            if self._is_bad(done):  # another session may just have changed it
                done = self._batches.run(place, place + 1, without=others, prepare=True)
        except psycopg.Error as error:
            if server_fault(error):
                raise
            if contended(error):
                _log.debug("locked_row_skipped", table=self._statements.table, row_id=row)
                return PassResult()
            return self._set_aside(row, reason(error))
        if self._is_bad(done):
            why = "unchanged: a trigger or rule keeps it as it is"
            return done.result + self._set_aside(row, why)
        return done.result

    def _is_bad(self, done: Done) -> bool:
        return self._unchanged_is_bad and done.unchanged > 0

    def _set_aside(self, row: UUID, why: str) -> PassResult:
        current, table = self._current, self._statements.table
        kept, _ = failed_rows.set_aside(
            current.connection, current.scheduler, row, why, current.now
        )
        self._batches.failed += 1
        _log.error("row_set_aside", table=table, row_id=row, reason=kept)
        done = PassResult(failed=1, note=f"{table} {row}: {kept}")
        current.report_progress(done, share=self._batches.share)
        if self._batches.failed > MOST_FAILED_ROWS:
            raise PassError(f"more than {MOST_FAILED_ROWS} rows failed, such as {done.note}")
        return done
