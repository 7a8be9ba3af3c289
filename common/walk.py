"""Change every due row of a table, however many there are, in short batches at flat memory.

Where an index serves, the due rows are counted in no time, and where they are few, one statement
over the whole table does them all. Otherwise the same statement is given one slice of the heap
after another by ctid range: each page is read once, in physical order, in short transactions, and
no batch has to step over the dead rows of those before it, which makes every LIMIT-after-LIMIT
loop slower as it goes. A row that was moved behind the slices meanwhile is found by the look that
follows, unless it may as well wait for the next pass.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import psycopg

from common import failed_rows, failpoints, heap, logs
from common.database import Connection, row_fault
from common.due import backlog, preview
from common.scheduler import Pass, PassResult, Preview

_log = logs.logger(__name__)

# So many due rows are too many for one transaction.
BATCH_ROWS = 5_000
# Counting takes longer than this where no index serves: the slices read the table as fast, and no
# transaction is long enough for others to feel it.
LOOK_MS = 100
# What an eager batch waits for a lock before it passes over what is locked.
LOCK_MS = 100
# 1 MiB of heap: some thousand rows of the usual width, tens of milliseconds a transaction.
SLICE_PAGES = 128
# An eager batch takes a fraction of that time for a row, and of what it locks nobody wants any.
EAGER_SLICES = 4
# Rows that are tried together where one is known to fail: enough to share the cost of a statement,
# few enough for little to be done in vain.
SUSPECT_ROWS = 64
# Rows passed over because they failed before; more than this says that the table's own rules
# have changed, and an operator must look.
MOST_FAILED_ROWS = 10_000

# Looks in a row that found rows and changed none before a pass leaves them: somebody's trigger
# may undo what we do.
MOST_IDLE_LOOKS = 3

_FAILED_ROWS = """
SELECT array_agg(row_id) AS ids FROM (
    SELECT row_id FROM toast_failed_rows
    WHERE scheduler = %(scheduler)s AND retry_at > %(now)s
    ORDER BY retry_at LIMIT %(most)s
) AS failed"""


@dataclass(frozen=True, slots=True)
class Walk:
    """How one table's due rows are changed.

    ``batch`` is one statement that changes the due rows with ctid in [first, end), passing over
    the ids in ``failed_rows`` and over rows that somebody has locked, and returns one row of
    counts: ``found`` due, ``processed``, ``events`` and any of its own. ``eager`` does the same but
    waits for locks, where that is cheaper and a lock is rare, and returns nothing. ``due`` selects
    what the batch would change, for a dry run. All may use ``now`` and what ``parameters`` adds.
    What is not ``urgent`` and is moved behind the slices by somebody is left to the next pass.

    Where finding what is due is dear whatever the range, the statements ``collect`` put it into a
    temporary table, ``collected``, and the batches take it from there by that one's ctid.
    """

    table: str
    due: str
    batch: str
    parameters: Callable[[Pass], dict[str, Any]] = lambda current: {}
    id_column: str = "id"
    eager: str = ""
    urgent: bool = True
    collect: tuple[str, ...] = ()
    collected: str = ""

    def preview(self, current: Pass) -> Preview:
        """Count the due rows and fetch the first of them; changes nothing."""
        return preview(current, self.due, self._parameters(current))

    def backlog(self, current: Pass, most: int) -> int:
        """Count the due rows, no further than ``most``."""
        return backlog(current, self.due, self._parameters(current), most)

    def run(self, current: Pass) -> PassResult:
        """Change every due row, setting aside those that cannot be changed."""
        result = _Walker(self, current, self._parameters(current)).run()
        if result.complete:
            failed_rows.forget_recovered(current.connection, current.scheduler, current.now)
        return result

    def _parameters(self, current: Pass) -> dict[str, Any]:
        values = {"scheduler": current.scheduler, "now": current.now, "most": MOST_FAILED_ROWS}
        found = current.connection.execute(_FAILED_ROWS, values).fetchone()
        failed = found["ids"] if found else None
        return {**values, "failed_rows": list(failed or ()), **self.parameters(current)}


class _Walker:
    """One pass over one table."""

    def __init__(self, walk: Walk, current: Pass, parameters: dict[str, Any]) -> None:
        self._walk = walk
        self._pass = current
        self._parameters = parameters
        self._heap = walk.collected or walk.table
        self._share: float | None = None  # of the heap, with the slice at hand

    def run(self) -> PassResult:
        if self._walk.collect:
            for statement in self._walk.collect:
                self._pass.connection.execute(statement, self._parameters)
            return self._all_slices()
        total, idle_looks = PassResult(), 0
        while idle_looks < MOST_IDLE_LOOKS and not self._pass.stopping():
            look, more = self._look()
            total += look
            if not more:
                return total
            idle_looks = 0 if look.processed or look.failed else idle_looks + 1
        return total + PassResult(complete=not self._pass.stopping())

    def _look(self) -> tuple[PassResult, bool]:
        """Do what is due, and say whether there may be more."""
        waiting = self._count()
        if waiting == 0:
            return PassResult(), False
        if waiting is None or waiting >= BATCH_ROWS:
            done = self._all_slices()
            return done, self._walk.urgent and bool(done.processed or done.failed)
        try:
            result, found = self._batch(*heap.WHOLE_TABLE)
        except psycopg.DatabaseError as error:
            if not row_fault(error):
                raise
            # One of these rows is bad. The slices find out which.
            return self._all_slices(), True
        # A row that somebody changed between our finding and our locking it is not done yet.
        return result, found > result.processed

    def _count(self) -> int | None:
        """How many rows are due, no further than BATCH_ROWS; None where that takes too long."""
        try:
            with _limited(self._pass.connection, "statement_timeout", LOOK_MS):
                return backlog(self._pass, self._walk.due, self._parameters, BATCH_ROWS)
        except psycopg.errors.QueryCanceled:
            return None

    def _all_slices(self) -> PassResult:
        total = PassResult()
        for first, end in self._slices():
            if self._pass.stopping():
                total += PassResult(complete=False)
                break
            total += self._slice(first, end)
        self._share = None
        return total

    def _slices(self) -> Iterator[tuple[int, int]]:
        pages = heap.pages(self._pass.connection, self._heap)
        step = SLICE_PAGES * (EAGER_SLICES if self._walk.eager else 1)
        for page in range(0, pages, step):
            self._share = min(1.0, (page + step) / pages)
            yield page * heap.PAGE, (page + step) * heap.PAGE

    def _slice(self, first: int, end: int) -> PassResult:
        """Run one range; where a row fails, run its rows in groups, to find out which."""
        try:
            return self._batch(first, end)[0]
        except psycopg.DatabaseError as error:
            if not row_fault(error):
                raise
        # Without any row it must succeed, or no row is to blame.
        self._batch(first, first)
        total = PassResult()
        places = heap.places(self._pass.connection, self._heap, first, end)
        for start in range(0, len(places), SUSPECT_ROWS):
            total += self._suspects(places[start : start + SUSPECT_ROWS])
        return total

    def _suspects(self, places: Sequence[int]) -> PassResult:
        """Run some rows; where one fails, halve them until that row stands alone."""
        if self._pass.stopping():
            return PassResult(complete=False)
        try:
            return self._batch(places[0], places[-1] + 1, prepare=True)[0]
        except psycopg.DatabaseError as error:
            if not row_fault(error):
                raise
            if len(places) == 1:
                return self._set_aside(places[0], error)
        middle = len(places) // 2
        return self._suspects(places[:middle]) + self._suspects(places[middle:])

    def _batch(self, first: int, end: int, *, prepare: bool = False) -> tuple[PassResult, int]:
        """Change the rows of a range; returns what was done, and how many rows were found."""
        failpoints.reach("statement")
        position = {"first": heap.tid(first), "end": heap.tid(end)}
        try:
            counts = self._execute(position, prepare)
        except psycopg.errors.UniqueViolation:
            # Another process may have done these rows a moment before: they are not due any more
            # then. Otherwise it is a fault of a row, and comes again.
            counts = self._execute(position, prepare)
        found = counts.pop("found", 0)
        result = PassResult(
            processed=counts.pop("processed", 0), events=counts.pop("events", 0), details=counts
        )
        self._pass.committed(result, share=self._share)
        return result, found

    def _execute(self, position: dict[str, str], prepare: bool) -> dict[str, int]:
        connection, parameters = self._pass.connection, {**self._parameters, **position}
        if self._walk.eager:
            try:
                with _limited(connection, "lock_timeout", LOCK_MS):
                    done = connection.execute(self._walk.eager, parameters, prepare=prepare)
                return {"found": done.rowcount, "processed": done.rowcount}
            except psycopg.errors.LockNotAvailable:
                _log.debug("locked_rows_passed_over", table=self._walk.table)
        row = connection.execute(self._walk.batch, parameters, prepare=prepare).fetchone()
        return dict(row or {})

    def _set_aside(self, place: int, error: psycopg.DatabaseError) -> PassResult:
        found = self._pass.connection.execute(
            f"SELECT {self._walk.id_column} AS id FROM {self._heap} WHERE ctid = %s::tid",
            (heap.tid(place),),
        ).fetchone()
        if found is None:
            # Moved by somebody meanwhile, and met again later; or there never was a row to
            # blame, as with a trigger against every statement, and then this fails again.
            return self._batch(place, place + 1)[0]
        reason = failed_rows.set_aside(
            self._pass.connection,
            self._pass.scheduler,
            found["id"],
            f"{type(error).__name__}: {error.diag.message_primary}",
            self._pass.now,
        )
        self._parameters["failed_rows"].append(found["id"])
        _log.error("row_set_aside", table=self._walk.table, row_id=found["id"], reason=reason)
        done = PassResult(failed=1, note=f"{self._walk.table} {found['id']}: {reason}")
        self._pass.committed(done, share=self._share)
        return done


@contextmanager
def _limited(connection: Connection, timeout: str, milliseconds: int) -> Iterator[None]:
    """Have the server give up a statement of the block after that time."""
    connection.execute(f"SET {timeout} = {milliseconds}")
    try:
        yield
    finally:
        if not connection.closed:
            connection.execute(f"RESET {timeout}")
