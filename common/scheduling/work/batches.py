"""Runs the statements of a batched change on one range of rows."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple
from uuid import UUID

import psycopg

from common import failpoints
from common.logging import logs
from common.scheduling.due.lateness import UNKNOWN, Lateness
from common.scheduling.scheduler import Pass, PassResult
from common.scheduling.work import ctid

_log = logs.logger(__name__)

# How long an eager batch waits for a lock. With PostgreSQL's deadlock_timeout (1s) no deadlock is
# found before.
EAGER_LIMITS = {"lock_timeout": "100ms"}


@dataclass(frozen=True, slots=True)
class Collection:
    """A temporary table of due rows, filled once per pass.

    ``statements`` create and fill ``table``, in one transaction with the server's ``settings``.
    """

    table: str
    statements: tuple[str, ...]
    settings: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Statements:
    """The SQL of a batched change of one table.

    ``batch`` changes the due rows with ctid in [first, end) except locked rows and the ids in
    ``without``, and returns one row of counts: ``found`` due, ``processed``, ``events`` and any of
    its own. It repeats the whole condition by which a row is due at the row that it changes.
    ``eager`` does the same, but does not lock rows before it changes them, which is cheaper, and
    waits for those that others have locked; if it ``is_bare``, it returns nothing. ``due`` selects
    the rows that the batch would change. If not ``urgent``, a row that is still due after the
    slices is handled by the next pass.

    ``can_wait``: nobody waits for its rows to be gone, so a pass over many of them takes breaks.

    If the query for due rows is expensive for any ctid range, a ``collection`` copies them; the
    batches then use ctid ranges of its table.
    """

    table: str
    due: str
    batch: str
    eager: str = ""
    is_bare: bool = False
    id_column: str = "id"
    urgent: bool = True
    can_wait: bool = False
    collection: Collection | None = None

    @property
    def heaps(self) -> str:
        """The table whose ctid ranges choose the rows."""
        return self.collection.table if self.collection else self.table


class Done(NamedTuple):
    """The result of a batch, and the number of rows that it found and did not change."""

    result: PassResult
    unchanged: int = 0


@dataclass(slots=True)
class Batches:
    """The batches of one pass; ``share`` is the part of all rows that is done after the current.

    ``failed`` counts the rows that were set aside. ``skips_locked``: rows are locked before they
    are changed, and those that others have locked are left; until then every due row was changed.
    """

    current: Pass
    statements: Statements
    parameters: dict[str, Any]
    share: float | None = field(default=None, init=False)
    failed: int = field(default=0, init=False)
    skips_locked: bool = field(init=False)

    def __post_init__(self) -> None:
        self.skips_locked = not self.statements.eager

    def leave_out(self, ids: Sequence[UUID]) -> None:
        """From now on these rows are not changed, and do not count as due."""
        self.parameters["without"] = list(ids)

    def run(self, first: int, end: int) -> Done:
        """Change the due rows of a range."""
        failpoints.reach("statement")
        parameters = self._parameters(first, end)
        try:
            done = self._change(parameters)
        except psycopg.errors.UniqueViolation:
            # Another process may have just changed these rows, so they are no longer due.
            # Otherwise a row is to blame, and the second run fails as well.
            done = self._change(parameters)
        self.report(done.result)
        return done

    def attempt(self, first: int, end: int, without: Sequence[UUID]) -> Done:
        """Change the due rows of a small range, except those in ``without``.

        For an open transaction: call ``report`` after its end.
        """
        failpoints.reach("statement")
        parameters = self._parameters(first, end)
        parameters["without"] = [*parameters["without"], *without]
        # Planning such a small range costs more than running it.
        return self._execute(self.statements.batch, parameters, prepare=True)

    def report(self, result: PassResult) -> None:
        """Report what was committed."""
        self.failed += result.failed
        self.current.report_progress(result, share=self.share)

    def places_of(self, ids: Sequence[UUID]) -> list[int]:
        """The places of the rows with these ids."""
        condition = f"{self.statements.id_column} = ANY (%(ids)s)"
        return ctid.places(
            self.current.connection, self.statements.heaps, condition, {"ids": list(ids)}
        )

    def places(self, first: int, end: int, condition: str) -> list[int]:
        """The places of the rows in a range that meet ``condition``."""
        return ctid.places(
            self.current.connection,
            self.statements.heaps,
            f"{ctid.in_range()} AND {condition}",
            self._parameters(first, end),
        )

    def _change(self, parameters: Mapping[str, Any]) -> Done:
        """Without locks beforehand, until another session has a lock, or changes the same rows."""
        if not self.skips_locked:
            try:
                with self.current.connection.limited(EAGER_LIMITS):
                    done = self._execute(self.statements.eager, parameters)
            except psycopg.errors.LockNotAvailable:
                _log.debug("locked_rows_skipped", table=self.statements.table)
            else:
                self.skips_locked = done.unchanged > 0
                return done
        self.skips_locked = True
        return self._execute(self.statements.batch, parameters)

    def _execute(
        self, statement: str, parameters: Mapping[str, Any], *, prepare: bool = False
    ) -> Done:
        cursor = self.current.connection.execute(statement, parameters, prepare=prepare)
        if cursor.description is None:
            return Done(PassResult(cursor.rowcount))
        [counts] = cursor
        late = Lateness.read(counts.pop("late", None))
        found, processed = counts.pop("found"), counts.pop("processed")
        events = counts.pop("events", 0)
        # It is that of the rows that were found.
        late = late if found == processed else UNKNOWN
        return Done(PassResult(processed, events, details=counts, lateness=late), found - processed)

    def _parameters(self, first: int, end: int) -> dict[str, Any]:
        return {**self.parameters, "first": ctid.tid(first), "end": ctid.tid(end)}
