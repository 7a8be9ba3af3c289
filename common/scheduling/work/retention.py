"""Retention: delete rows older than a number of days, not only mark them as deleted."""

from typing import Any

from common.config import Variable
from common.database.table_access import Index, Table
from common.scheduling.due.conditions import Condition
from common.scheduling.work.batched_change import BatchedChange, Children

_AGE = "created_at < %(cutoff)s OR created_at IS NULL"


def old_rows(
    table: Table,
    *,
    kept: Variable[Any],
    shows: tuple[str, ...],
    due: tuple[Condition, ...] = (),
    index: Index | None = None,
    children: tuple[Children, ...] = (),
) -> BatchedChange:
    """Work that deletes the rows created longer ago than the setting ``kept`` says.

    A row without a time is as old as can be. ``due`` are further conditions; ``index`` is one on
    ``created_at`` unless given.
    """
    return BatchedChange(
        table,
        due=(*due, Condition("older than it is kept", _AGE)),
        shows=shows,
        since="created_at + (%(now)s - %(cutoff)s)",
        index=index or Index(("created_at",)),
        children=children,
        ago={"cutoff": kept},
    )
