"""Change every due row of a table, however many there are, in short batches at flat memory.

Where an index serves, the due rows are counted in no time, and where they are few, one statement
over the whole table does them all. Otherwise the same statement is given one slice of the heaps
after another by ctid range: each page is read once, in physical order, in short transactions, and
no batch has to step over the dead rows of those before it, which makes every LIMIT-after-LIMIT
loop slower as it goes. A row that was moved behind the slices meanwhile is found by the round that
follows, unless it may as well wait for the next pass.
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

# So many due rows are too many for one transaction.
BATCH_ROWS = 5_000
# Counting takes longer than this where no index serves: the slices read the table as fast, and no
# transaction is long enough for others to feel it.
COUNT_LIMITS = {"statement_timeout": "100ms"}
# 1 MiB of heap: some thousand rows of the usual width, tens of milliseconds a transaction.
SLICE_PAGES = 128
# An eager batch takes a fraction of that time for a row, and what it locks is rarely wanted.
EAGER_SLICES = 4
# So many that failed in a pass, and none that did not, are no matter of single rows either.
MOST_FAILED_ALONE = 100

# Looks in a row that found rows and changed none before these are looked at one by one: another
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
    """How one table's due rows are changed.

    ``batch`` is one statement that changes the due rows with ctid in [first, end), passing over
    the ids in ``failed_rows`` and over rows that somebody has locked, and returns one row of
    counts: ``found`` due, ``processed``, ``events`` and any of its own. Whatever it changes, it
    changes under the whole condition by which a row is due. ``eager`` does the same but
    waits for locks, where that is cheaper and a lock is rare, and returns nothing. ``due`` selects
    what the batch would change, for a dry run. All may use ``now`` and what ``parameters`` adds.
    What is not ``urgent`` and is moved behind the slices by somebody is left to the next pass.
    ``forgets`` is False where a walk is a part of a pass only, which then forgets for itself what
    has recovered.

    Where finding what is due is dear whatever the range, the statements ``collect`` put it into a
    temporary table, ``collected``, and the batches take it from there by that one's ctid; they run
    in one transaction, with the server's settings ``collecting``.
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
        """Count the due rows and fetch the first of them; changes nothing."""
        return preview(current, self.due, self._parameters(current))

    def backlog(self, current: Pass, most: int) -> int:
        """Count the due rows, no further than ``most``."""
        return backlog(current, self.due, self._parameters(current), most)

    def run(self, current: Pass) -> PassResult:
        """Change every due row, setting aside those that cannot be changed.

        Raises PassError where no row can be changed.
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
        """How many rows are due, no further than BATCH_ROWS; None where that takes too long."""
        try:
            with self._pass.connection.limited(COUNT_LIMITS):
                return backlog(self._pass, self._change.due, self._parameters, BATCH_ROWS)
        except psycopg.errors.QueryCanceled:
            return None

    def _few(self) -> tuple[PassResult, int]:
        """Do what is due in one statement; returns what was done, and how many were unchanged."""
        try:
            return self._batches.run(*ctid.WHOLE_TABLE)
        except psycopg.Error as error:
            if server_fault(error):
                raise
        # One of these rows is bad. The slices find out which.
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
            unchanged += 1  # the eager statement does not say what it has found
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
        """Raise PassError if rows are due that are not locked, but hidden from changes."""
        connection, id_column = self._pass.connection, self._change.id_column
        due = f"SELECT {id_column} AS id FROM ({self._change.due}) AS due LIMIT 1"
        lock = f"SELECT FROM {self._change.table} WHERE {id_column} = %(id)s FOR UPDATE NOWAIT"
        row = connection.execute(due, self._parameters).fetchone()
        try:
            if row is None or connection.execute(lock, row).rowcount:
                return
        except (psycopg.errors.LockNotAvailable, psycopg.errors.InsufficientPrivilege):
            return  # alerts may not lock, and change, the rows that they are about
        if self._count():
            raise PassError(
                f"rows of {self._change.table} are due, but hidden from those who change them: "
                "give this role a policy FOR ALL, or the attribute BYPASSRLS"
            )
