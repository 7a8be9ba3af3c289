"""Change every due row of a table in short batches, with constant memory.

With a suitable index, counting due rows takes milliseconds; if they are few, one statement over the
whole table changes them. Otherwise the same statement runs on one slice of the heaps after another,
by ctid range: each page is read once, in physical order, in short transactions. A loop with LIMIT
would be slower with each batch, because it reads the dead rows of the batches before. A row that
moves behind the slices in the meantime is found by the next round, or by the next pass.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import psycopg

from common.database import ctid, failed_rows
from common.database.error_classification import server_fault
from common.errors import PassError
from common.scheduling.batches import MOST_FAILED_ROWS, Batches
from common.scheduling.due_rows import backlog, preview
from common.scheduling.scheduler import Pass, PassResult, Preview

# From this many due rows on, one transaction would be too long.
BATCH_ROWS = 5_000
# Without a suitable index, counting takes longer; the slices read the table as fast, in short
# transactions.
COUNT_LIMITS = {"statement_timeout": "100ms"}
# 1 MiB of heap: some thousand rows of the usual width, tens of milliseconds a transaction.
SLICE_PAGES = 128
# An eager batch takes a fraction of that time, and other transactions rarely need the rows that it
# locks.
EAGER_SLICES = 4
# If this many rows fail in a pass and none succeeds, the cause is not a single row.
MOST_FAILED_ALONE = 100

# Consecutive rounds that found rows and changed none, before each row is tried alone: another
# session may have changed them in between.
MOST_IDLE_ROUNDS = 3

_FAILED_ROWS = """
SELECT array_agg(row_id) AS ids FROM (
    SELECT row_id FROM toast_failed_rows
    WHERE scheduler = %(scheduler)s AND retry_at > %(now)s
    ORDER BY retry_at LIMIT %(most)s
) AS failed"""


@dataclass(frozen=True, slots=True)
class BatchedChange:
    """How the due rows of one table are changed.

    ``batch`` is one statement that changes the due rows with ctid in [first, end) except the ids in
    ``failed_rows`` and locked rows, and returns one row of counts: ``found`` due, ``processed``,
    ``events`` and any of its own. It repeats the whole condition by which a row is due at the row
    that it changes. ``eager`` does the same, but waits for locks and returns nothing; use it if
    that is cheaper and locks are rare. ``due`` selects the rows that the batch would change. All
    may use ``now`` and what ``parameters`` adds. If not ``urgent``, a row that moves behind the
    slices is handled by the next pass. ``forgets`` is False for a part of a pass, which then calls
    forget_recovered itself.

    If the query for due rows is expensive for any ctid range, the statements ``collect`` copy them
    into the temporary table ``collected``, in one transaction with the server's settings
    ``collecting``; the batches then use ctid ranges of that table.
    """

    table: str
    due: str
    batch: str
    parameters: Callable[[Pass], dict[str, Any]] = lambda current: {}
    id_column: str = "id"
    eager: str = ""
    urgent: bool = True
    forgets: bool = True
    collect: tuple[str, ...] = ()
    collected: str = ""
    collecting: Mapping[str, str] = field(default_factory=dict)

    def preview(self, current: Pass) -> Preview:
        """Count the due rows and fetch the first of them, without changes."""
        return preview(current, self.due, self._parameters(current))

    def backlog(self, current: Pass, most: int) -> int:
        """Count the due rows, at most ``most``."""
        return backlog(current, self.due, self._parameters(current), most)

    def run(self, current: Pass) -> PassResult:
        """Change every due row; set aside those that cannot be changed.

        Raises PassError if none of many rows can be changed.
        """
        result = _BatchedPass(self, current, self._parameters(current)).run()
        if result.failed >= MOST_FAILED_ALONE and not result.processed:
            raise PassError(f"none of {result.failed} rows could be changed, such as {result.note}")
        if result.complete and self.forgets:
            failed_rows.forget_recovered(current.connection, current.scheduler, current.now)
        return result

    def _parameters(self, current: Pass) -> dict[str, Any]:
        values = {"scheduler": current.scheduler, "now": current.now, "most": MOST_FAILED_ROWS}
        found = current.connection.execute(_FAILED_ROWS, values).fetchone()
        failed = found["ids"] if found else None
        return {**values, "failed_rows": list(failed or ()), **self.parameters(current)}


class _BatchedPass:
    """One pass over one table."""

    def __init__(self, change: BatchedChange, current: Pass, parameters: dict[str, Any]) -> None:
        self._change = change
        self._pass = current
        self._parameters = parameters
        self._batches = Batches(
            current,
            table=change.table,
            heaps=change.collected or change.table,
            id_column=change.id_column,
            due=change.due,
            batch=change.batch,
            eager=change.eager,
            parameters=parameters,
        )

    def run(self) -> PassResult:
        if self._change.collect:
            return self._run_collected()
        total, idle_rounds = PassResult(), 0
        while not self._pass.stopping():
            waiting = self._count()
            if waiting == 0:
                return total
            few = waiting is not None and waiting < BATCH_ROWS
            done, unchanged = self._few() if few else self._all_slices()
            total += done
            idle_rounds = 0 if done.processed or done.failed else idle_rounds + 1
            if idle_rounds and waiting and not unchanged:
                self._require_locked()
                return total
            if unchanged and (idle_rounds == MOST_IDLE_ROUNDS or not (few or self._change.urgent)):
                self._batches.is_careful = True
                return total + self._all_slices()[0]
            if not unchanged and (few or idle_rounds or not self._change.urgent):
                return total
        return total + PassResult(complete=False)

    def _run_collected(self) -> PassResult:
        connection = self._pass.connection
        with connection.hold():
            with connection.begin(self._change.collecting):
                for statement in self._change.collect:
                    connection.execute(statement, self._parameters)
            try:
                return self._all_slices()[0]
            finally:
                if not connection.closed:
                    connection.execute(f"DROP TABLE {self._change.collected}")

    def _count(self) -> int | None:
        """Number of due rows, at most BATCH_ROWS; None if counting takes too long."""
        try:
            with self._pass.connection.limited(COUNT_LIMITS):
                return backlog(self._pass, self._change.due, self._parameters, BATCH_ROWS)
        except psycopg.errors.QueryCanceled:
            return None

    def _few(self) -> tuple[PassResult, int]:
        """Change the due rows in one statement; returns the result and the number unchanged."""
        try:
            return self._batches.run(*ctid.WHOLE_TABLE)
        except psycopg.Error as error:
            if server_fault(error):
                raise
        # One of these rows fails; the slices find it.
        return self._all_slices()

    def _all_slices(self) -> tuple[PassResult, int]:
        total, unchanged = PassResult(), 0
        eager = bool(self._change.eager) and not self._batches.is_careful
        heaps = ctid.pages(self._pass.connection, self._batches.heaps)
        step = SLICE_PAGES * (EAGER_SLICES if eager else 1)
        for first, end, self._batches.share in ctid.slices(heaps, step):
            if self._pass.stopping():
                total += PassResult(complete=False)
                break
            done, left = self._slice(first, end, eager)
            total += done
            unchanged += left
        self._batches.share = None
        if eager and not total.processed:
            unchanged += 1  # the eager statement does not return what it found
        return total, unchanged

    def _slice(self, first: int, end: int, eager: bool) -> tuple[PassResult, int]:
        try:
            done, unchanged = self._batches.run(first, end, eager=eager)
            if not (unchanged and self._batches.is_careful):
                return done, unchanged
        except psycopg.Error as error:
            if server_fault(error):
                raise
            done = PassResult()
        return done + self._batches.run_all_but_bad_rows(first, end), 0

    def _require_locked(self) -> None:
        """Raise PassError if due rows are hidden from changes rather than locked."""
        connection, id_column = self._pass.connection, self._change.id_column
        due = f"SELECT {id_column} AS id FROM ({self._change.due}) AS due LIMIT 1"
        lock = f"SELECT FROM {self._change.table} WHERE {id_column} = %(id)s FOR UPDATE NOWAIT"
        row = connection.execute(due, self._parameters).fetchone()
        try:
            if row is None or connection.execute(lock, row).rowcount:
                return
        except (psycopg.errors.LockNotAvailable, psycopg.errors.InsufficientPrivilege):
            return  # alerts have no right to lock or change their rows
        if self._count():
            raise PassError(
                f"rows of {self._change.table} are due, but hidden from those who change them: "
                "give this role a policy FOR ALL, or the attribute BYPASSRLS"
            )
