"""Why one row is due, or not: each condition of a pass, checked for this row by the server."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from common.config import Settings, Variable
from common.database.table_access import Table
from common.errors import PassError
from common.scheduling.due.conditions import Condition
from common.scheduling.preview import Checked, Reasons
from common.scheduling.scheduler import Pass
from common.scheduling.work.due_rows import UNKNOWN

_PARAMETER = re.compile(r"%\((\w+)\)s")


@dataclass(frozen=True, slots=True, kw_only=True)
class OneRow:
    """How to find one row of ``table``, and the ``conditions`` that a pass's query is made of.

    ``rows`` is SQL for after FROM, in which the table has the name ``alias``; it has every row of
    the table, due or not. ``shows`` are the columns of a dry run, and ``since`` is SQL over them,
    as in DueRows. ``parameters`` are those of a pass, and ``settings`` those that come from one.
    """

    table: Table
    rows: str
    alias: str
    conditions: tuple[Condition, ...]
    shows: Sequence[str]
    since: str = UNKNOWN
    parameters: Callable[[Pass], Mapping[str, Any]]
    settings: Mapping[str, Variable[Any]] = field(default_factory=dict)

    def why(self, current: Pass, row: str) -> Reasons:
        """Check every condition for the row with this id. Raises PassError if there is none."""
        values = {**self.parameters(current), "row": row}
        found = current.connection.execute(self._sql, values).fetchone()
        if found is None:
            raise PassError(f"{self.table.name} has no row with the id {row}")
        since = found.pop("since")
        checked = [
            self._checked(number, condition, found, current, since)
            for number, condition in enumerate(self.conditions)
        ]
        return Reasons(self.table.name, current.now, found, checked, since)

    @property
    def _sql(self) -> str:
        checks = [
            f"({condition.sql}) IS TRUE AS met_{number}"
            for number, condition in enumerate(self.conditions)
        ]
        values = [
            f"{sql} AS value_{number}_{place}"
            for number, condition in enumerate(self.conditions)
            for place, sql in enumerate(self._decisive(condition).values())
        ]
        return f"""
SELECT *, {self.since} AS since FROM (
    SELECT {", ".join((*self.shows, *checks, *values))}
    FROM {self.rows} WHERE {self.alias}.id = %(row)s::uuid
) AS due"""

    def _decisive(self, condition: Condition) -> Mapping[str, str]:
        """The values that decide the condition, by name: their SQL."""
        if condition.shows is not None:
            return condition.shows
        # Without another name for its table, the columns of a condition have no prefix.
        prefix = "" if self.alias == self.table.name else self.alias
        columns = self.table.columns_in(condition.sql, prefix)
        return {name: f"{self.alias}.{name}" for name in columns}

    def _checked(
        self,
        number: int,
        condition: Condition,
        found: dict[str, Any],
        current: Pass,
        since: datetime | None,
    ) -> Checked:
        """The result of one condition, taken out of the row that was ``found``."""
        is_met = found.pop(f"met_{number}")
        values = {
            name: found.pop(f"value_{number}_{place}")
            for place, name in enumerate(self._decisive(condition))
        }
        parameters = _PARAMETER.findall(condition.sql)
        is_timed = parameters and any(isinstance(value, datetime) for value in values.values())
        waits = not is_met and is_timed and since is not None and since > current.now
        settings = self._written(parameters, current.settings)
        return Checked(condition.name, is_met, values, settings, since if waits else None)

    def _written(self, parameters: Sequence[str], settings: Settings) -> dict[str, str]:
        used = [self.settings[name] for name in parameters if name in self.settings]
        return {variable.name: settings.written(variable) for variable in used}
