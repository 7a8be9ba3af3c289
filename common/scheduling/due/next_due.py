"""When the next row will be due: a question to the database at the end of a pass.

It reads the rows whose conditions hold but for the time, by the same SQL as the pass. The answer
is by the database's clock only, so a wrong clock of this host makes no difference.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

import psycopg

from common.database.session import Session
from common.logging import logs
from common.scheduling.due import one_message
from common.scheduling.due.conditions import Condition, Time

_log = logs.logger(__name__)

# With an index it is one row to read. Without one, or with many dead rows before it, the next tick
# has to do.
LIMITS = {"statement_timeout": "100ms"}

_ASK = "SELECT least({moments}) AS at, {is_left} AS is_left, clock_timestamp() AS now"


class NextDue(NamedTuple):
    """The next row is due ``at`` this time of the database, in ``seconds`` from now; None and
    infinite if no row is within the time that was asked for, or if that is not known.

    ``is_left``: rows are still due, because another session has locked them.
    """

    at: datetime | None = None
    seconds: float = math.inf
    is_left: bool = False
    is_known: bool = True


class NextDueQuery(NamedTuple):
    """SQL for each of the ``moments`` at which rows become due, and for those that ``are_left``."""

    moments: Sequence[str]
    are_left: str = "false"

    @property
    def sql(self) -> str:
        return _ASK.format(moments=", ".join(self.moments), is_left=self.are_left)

    def ask(self, connection: Session, parameters: Mapping[str, Any]) -> NextDue:
        """Ask; an answer that takes too long, or fails, is not known."""
        try:
            [found] = one_message.ask(connection, self.sql, parameters, LIMITS)
        except psycopg.Error as error:
            _log.debug("next_due_query_failed", error=error)
            return NextDue(is_known=False)
        at, is_left = found["at"], found["is_left"]
        if at is None:
            return NextDue(is_left=is_left)
        return NextDue(at, (at - found["now"]).total_seconds(), is_left)


def moments(rows: str, due: Sequence[Condition], more: str = "true") -> Iterator[str]:
    """SQL for the next moment at which one of ``rows`` meets all conditions, as time passes.

    ``rows`` is SQL for after FROM, ``more`` another condition. One of ``due`` may have a time;
    without it there is no such moment.
    """
    for timed in due:
        if timed.time:
            others = [condition.sql for condition in due if condition is not timed]
            yield moment(rows, timed.time, [*others, more])


def moment(rows: str, time: Time, conditions: Sequence[str]) -> str:
    """SQL for the next moment of this ``time`` in those of ``rows`` that meet the conditions."""
    where = " AND ".join(f"({each})" for each in (time.is_ahead, *conditions))
    return f"(SELECT {time.first} FROM {rows} WHERE {where})"
