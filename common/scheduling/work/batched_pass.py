"""Changes every due row of a table in short batches, with constant memory.

With a suitable index, counting due rows takes milliseconds; if they are few, one statement over the
whole table changes them. Otherwise the same statement runs on one slice of the heaps after another,
by ctid range: each page is read once, in physical order, in short transactions. A loop with LIMIT
would be slower with each batch, because it reads the dead rows of the batches before. A row that
moves behind the slices in the meantime is found by the next round, or by the next pass: with no
index to count the rest, a second round would take as long as the first, for hardly any row.
"""

from collections.abc import Callable, Mapping
from typing import Any

import psycopg

from common.config import TOAST_RETENTION_SHARE
from common.database import failed_rows
from common.database.error_classification import server_fault
from common.errors import PassError
from common.scheduling.scheduler import Pass, PassResult
from common.scheduling.under_way.breaks import Breaks
from common.scheduling.work import ctid
from common.scheduling.work.bad_rows import BadRows
from common.scheduling.work.batches import Batches, Collection, Done, Statements
from common.scheduling.work.due_rows import count

# From this many due rows on, one transaction would be too long.
BATCH_ROWS = 5_000
# Without a suitable index, counting takes longer; the slices read the table as fast, in short
# transactions.
COUNT_LIMITS = {"statement_timeout": "100ms"}
# 1 MiB of heap: some thousand rows of the usual width, tens of milliseconds a transaction.
SLICE_PAGES = 128
# A bare batch takes a fraction of that time.
BARE_SLICES = 4
# Other sessions notice a long slice more than several short ones with breaks between.
SHORT_SLICE_PAGES = 64
# Rows that are probably still bad: together with others they would fail the whole slice.
MOST_TRIED_APART = 1_000
# If this many rows fail in a pass and none succeeds, the cause is not a single row.
MOST_FAILED_ALONE = 100
# Consecutive rounds that found rows and changed none, before each row is tried alone: another
# session may have changed them in between.
MOST_IDLE_ROUNDS = 3


def parameters(current: Pass, more: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters of a pass's statements: its scheduler and times, ``without``, ``more``."""
    return {
        "scheduler": current.scheduler,
        "now": current.now,
        "quiet_until": current.quiet_until,
        "without": [],
        **more,
    }


def run(current: Pass, statements: Statements, parameters: dict[str, Any]) -> PassResult:
    """Change every due row; set aside those that cannot be changed.

    Raises PassError if none of many rows can be changed.
    """
    result = _BatchedPass(Batches(current, statements, parameters)).run()
    if result.failed >= MOST_FAILED_ALONE and not result.processed:
        raise PassError(f"none of {result.failed} rows could be changed, such as {result.note}")
    return result


class _BatchedPass:
    """One pass over one table."""

    def __init__(self, batches: Batches) -> None:
        self._batches = batches
        self._pass = batches.current
        self._statements = batches.statements
        self._parameters = batches.parameters

    def run(self) -> PassResult:
        if self._statements.collection:
            return self._run_collected(self._statements.collection)
        return self._apart_from_bad_rows(self._change_all)

    def _apart_from_bad_rows(self, change: Callable[[], PassResult]) -> PassResult:
        """Change all rows, but by themselves those that have failed in an earlier pass."""
        current, batches = self._pass, self._batches
        known = failed_rows.due_again(
            current.connection, current.scheduler, current.now, MOST_TRIED_APART
        )
        batches.leave_out(known)
        total = change()
        batches.leave_out([])
        if known and total.complete:
            total += BadRows(batches, unchanged_is_bad=True).change_again(known)
        return total

    def _change_all(self) -> PassResult:
        total, idle_rounds, is_sure = PassResult(), 0, False
        while not self._pass.stopping():
            due = self._count()
            if due == 0 or (due is None and is_sure):
                return total
            is_few = due is not None and due < BATCH_ROWS
            done = self._all_at_once() if is_few else self._slice_by_slice()
            total += done.result
            # None was skipped; only rows that another session has moved may be left.
            is_sure = not self._batches.skips_locked
            idle_rounds = 0 if done.result.processed or done.result.failed else idle_rounds + 1
            again = is_few or self._statements.urgent
            if done.unchanged:
                if idle_rounds == MOST_IDLE_ROUNDS or (idle_rounds and not again):
                    return total + self._slice_by_slice(unchanged_is_bad=True).result
            elif idle_rounds and due:
                self._require_locked()
                return total
            elif is_few or idle_rounds or not again:
                return total
        return total + PassResult(complete=False)

    def _run_collected(self, collection: Collection) -> PassResult:
        connection = self._pass.connection
        with connection.hold():
            with connection.begin(collection.settings):
                for statement in collection.statements:
                    connection.execute(statement, self._parameters)
            try:
                return self._apart_from_bad_rows(lambda: self._slice_by_slice().result)
            finally:
                if not connection.closed:
                    connection.execute(f"DROP TABLE {collection.table}")

    def _count(self) -> int | None:
        """Number of due rows, at most BATCH_ROWS; None if counting takes too long."""
        connection = self._pass.connection
        try:
            with connection.limited(COUNT_LIMITS):
                return count(connection, self._statements.due, self._parameters, BATCH_ROWS)
        except psycopg.errors.QueryCanceled:
            return None

    def _all_at_once(self) -> Done:
        if self._statements.is_bare:
            # Of few rows, it is worth the time to learn which ones stay.
            self._batches.skips_locked = True
        try:
            return self._batches.run(*ctid.WHOLE_TABLE)
        except psycopg.Error as error:
            if server_fault(error):
                raise
        # One of these rows fails; the slices find it.
        return self._slice_by_slice()

    def _slice_by_slice(self, *, unchanged_is_bad: bool = False) -> Done:
        bad_rows = BadRows(self._batches, unchanged_is_bad=unchanged_is_bad)
        is_bare = self._statements.is_bare and not self._batches.skips_locked
        total, unchanged = PassResult(), 0
        heaps = ctid.pages(self._pass.connection, self._statements.heaps)
        breaks = self._breaks()
        step = SHORT_SLICE_PAGES if breaks else SLICE_PAGES * (BARE_SLICES if is_bare else 1)
        for first, end, share in ctid.slices(heaps, step):
            self._batches.share = share
            if self._pass.stopping():
                total += PassResult(complete=False)
                break
            try:
                done = self._batches.run(first, end)
                search = unchanged_is_bad and done.unchanged > 0
            except psycopg.Error as error:
                if server_fault(error):
                    raise
                done, search = Done(PassResult()), True
                self._batches.skips_locked = True  # the search does
            total += done.result
            if search:
                total += bad_rows.change_all_others(first, end)
            else:
                unchanged += done.unchanged
            if breaks:
                breaks.take(share)
        self._batches.share = None
        if is_bare and not total.processed:
            unchanged += 1  # it does not return what it found
        return Done(total, unchanged)

    def _breaks(self) -> Breaks | None:
        """The breaks of a pass over all slices; None if it takes none."""
        can_wait, settings = self._statements.can_wait, self._pass.settings
        return Breaks(self._pass) if can_wait and settings[TOAST_RETENTION_SHARE] < 1 else None

    def _require_locked(self) -> None:
        """Raise PassError if due rows are hidden from changes rather than locked."""
        connection, id_column = self._pass.connection, self._statements.id_column
        table = self._statements.table
        due = f"SELECT {id_column} AS id FROM ({self._statements.due}) AS due LIMIT 1"
        lock = f"SELECT FROM {table} WHERE {id_column} = %(id)s FOR UPDATE NOWAIT"
        row = connection.execute(due, self._parameters).fetchone()
        try:
            if row is None or connection.execute(lock, row).rowcount:
                return
        except (psycopg.errors.LockNotAvailable, psycopg.errors.InsufficientPrivilege):
            return  # alerts have no right to lock or change their rows
        if self._count():
            raise PassError(
                f"rows of {table} are due, but hidden from those who change them: "
                "give this role a policy FOR ALL, or the attribute BYPASSRLS"
            )
