"""Isolates the rows of a batched change that fail, and sets them aside.

A row is to blame for an error if the statement succeeds without it; the SQLSTATE does not decide,
because a trigger may raise any. A row that is found, locked and repeatedly unchanged fails, too: a
trigger or a rule undoes the change.

Each trial is undone to a savepoint if it fails, so the trials of a short time are one transaction.
"""

import time
from collections.abc import Sequence
from typing import NamedTuple
from uuid import UUID

import psycopg

from common.database import failed_rows
from common.database.error_classification import contended, reason, server_fault
from common.errors import PassError
from common.logging import logs
from common.scheduling.scheduler import NOTHING, PassResult
from common.scheduling.work import ctid
from common.scheduling.work.batches import Batches, Done

_log = logs.logger(__name__)

# An empty range of places.
NO_ROW = (0, 0)
# Rows tried together when none of them is known to fail: enough to share the cost of a statement,
# few enough to waste little work.
GROUP_ROWS = 64
# Limits of such a trial: a row may wait for a lock, its trigger for anything.
TRIAL_LIMITS = {"lock_timeout": "500ms", "statement_timeout": "15s"}
# PostgreSQL keeps up to 64 savepoints of a transaction where other sessions find them quickly.
MOST_TRIALS = 60
# No trial begins later in a transaction, so that others do not wait long for its rows.
TRIALS_SECONDS = 0.1
# Rows that a pass sets aside. With more, the rules of the table have probably changed, and an
# operator must look.
MOST_FAILED_ROWS = 10_000


class _Aside(NamedTuple):
    """A row that is set aside, and the reason as it is stored."""

    row_id: UUID
    reason: str


class BadRows:
    """Runs batches so that a bad row stops no other one."""

    def __init__(self, batches: Batches, *, unchanged_is_bad: bool) -> None:
        """``unchanged_is_bad``: a row that stays unchanged counts as failed."""
        self._batches = batches
        self._unchanged_is_bad = unchanged_is_bad
        # What is still due after a change is probably bad.
        self._group_rows = 1 if unchanged_is_bad else GROUP_ROWS
        self._current = batches.current
        self._statements = batches.statements
        # The places of the rows that are left, and how many of the first contain a bad one.
        self._places: Sequence[int] = ()
        self._suspects = 0
        self._aside: list[_Aside] = []

    def change_all_others(self, first: int, end: int) -> PassResult:
        """Change the rows of a range in groups, and set aside those that fail."""
        # Without any row it must succeed; otherwise no row is to blame.
        self._batches.run(*NO_ROW)
        # Only unchanged rows are still due.
        id_column, due = self._statements.id_column, self._statements.due
        still_due = f"{id_column} IN (SELECT {id_column} FROM ({due}) AS due)"
        condition = still_due if self._unchanged_is_bad else "true"
        return self._change(self._batches.places(first, end, condition))

    def change_again(self, ids: Sequence[UUID]) -> PassResult:
        """Change rows that have failed in an earlier pass, each by itself."""
        self._batches.run(*NO_ROW)
        return self._change(self._batches.places_of(ids))

    def _change(self, places: Sequence[int]) -> PassResult:
        self._places, self._suspects = places, 0
        total = PassResult()
        while self._places and total.complete:
            total += self._change_some()
        return total

    def _change_some(self) -> PassResult:
        """Try groups of rows in one transaction."""
        if self._current.stopping():
            return PassResult(complete=False)
        total, self._aside = PassResult(), []
        ends_at = time.monotonic() + TRIALS_SECONDS
        with self._current.connection.begin(TRIAL_LIMITS):
            # What is deferred must fail while it can still be undone.
            self._current.connection.execute("SET CONSTRAINTS ALL IMMEDIATE")
            for _ in range(MOST_TRIALS):
                total += self._change_next()
                if not self._places or time.monotonic() > ends_at:
                    break
        self._report(total)
        return total

    def _report(self, done: PassResult) -> None:
        """Report what was committed."""
        for aside in self._aside:
            _log.error("row_set_aside", table=self._statements.table, **aside._asdict())
        self._batches.report(done)
        if self._batches.failed > MOST_FAILED_ROWS:
            raise PassError(f"more than {MOST_FAILED_ROWS} rows failed, such as {done.note}")

    def _change_next(self) -> PassResult:
        """Try the next rows: a group, half of a group that has failed, or one row."""
        number = max(1, self._suspects // 2) if self._suspects else self._group_rows
        places = self._places[:number]
        try:
            result = self._change_group(places) if len(places) > 1 else self._change_at(places[0])
        except psycopg.Error as error:
            if server_fault(error) or len(places) == 1:
                raise
            self._suspects = len(places)
            return NOTHING
        self._places = self._places[len(places) :]
        # If the first half of the suspects is good, a bad row is known to be in the second.
        self._suspects = 0 if result.failed else max(0, self._suspects - len(places))
        return result

    def _change_group(self, places: Sequence[int]) -> PassResult:
        return self._try(places[0], places[-1] + 1).result

    def _change_at(self, place: int) -> PassResult:
        """Change the row at this place, or one after another if several heaps have one."""
        heaps, id_column = self._statements.heaps, self._statements.id_column
        ids = ctid.ids(self._current.connection, heaps, id_column, place)
        if not ids:
            # Another session moved the row, and a later round finds it; or no row is to blame, as
            # with a trigger on every statement, and this fails again.
            return self._try(place, place + 1).result
        total = PassResult()
        for row in ids:
            total += self._change_one(place, row, [other for other in ids if other != row])
        return total

    def _change_one(self, place: int, row: UUID, others: Sequence[UUID]) -> PassResult:
        try:
            try:
                done = self._try(place, place + 1, others)
            except psycopg.errors.UniqueViolation:
                done = None
            # Another session may just have changed it.
            if done is None or self._is_bad(done):
                done = self._try(place, place + 1, others)
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

    def _try(self, first: int, end: int, without: Sequence[UUID] = ()) -> Done:
        with self._current.connection.savepoint():
            return self._batches.attempt(first, end, without)

    def _is_bad(self, done: Done) -> bool:
        return self._unchanged_is_bad and done.unchanged > 0

    def _set_aside(self, row: UUID, why: str) -> PassResult:
        current, table = self._current, self._statements.table
        kept, _ = failed_rows.set_aside(
            current.connection, current.scheduler, row, why, current.now
        )
        self._aside.append(_Aside(row, kept))
        return PassResult(failed=1, note=f"{table} {row}: {kept}")
