"""The conditions by which a row is due; one of them may only need time to pass."""

from collections.abc import Mapping
from typing import NamedTuple


class Time(NamedTuple):
    """A ``column`` with a time, and the ``limit`` to which it is compared: SQL for a time that
    advances as ``now`` does. The row meets the condition from the moment at which they are equal.
    """

    column: str
    limit: str

    @property
    def has_come(self) -> str:
        """SQL: the moment has come."""
        return f"{self.column} <= {self.limit}"

    @property
    def is_ahead(self) -> str:
        """SQL: the moment comes later than ``now``, but not later than ``ahead`` after it."""
        # The upper bound keeps out infinity, and moments that no time of PostgreSQL can hold.
        return f"{self.column} > {self.limit} AND {self.column} <= {self.limit} + %(ahead)s"

    @property
    def first(self) -> str:
        """SQL: the first such moment of some rows."""
        return f"min({self.column}) + (%(now)s - ({self.limit}))"


class Condition(NamedTuple):
    """One of the conditions by which a row is due: its name for people, and its SQL.

    ``shows`` maps names to SQL for the values that decide it; None: the columns that it names.
    With a ``time``, a row that does not meet it yet will do so at a moment that is known.
    """

    name: str
    sql: str
    shows: Mapping[str, str] | None = None
    time: Time | None = None


def has_come(
    name: str, column: str, limit: str = "%(now)s", *, or_is_null: bool = False
) -> Condition:
    """The condition that the time ``column`` is not after ``limit``, as in Time."""
    time = Time(column, limit)
    null = f" OR {column} IS NULL" if or_is_null else ""
    return Condition(name, f"{time.has_come}{null}", time=time)
