"""Adoption: rows that a live service was working on when it crashed, which nobody takes any more.

They become failed rows, as after an attempt that failed, so a scheduler tries them again. Those
that are too old for that, by the pass's ``quiet_until``, have no attempts left.
"""

from common.config import Variable
from common.database.table_access import Index, Table
from common.scheduling.due.conditions import Condition
from common.scheduling.work.batched_change import BatchedChange
from common.scheduling.work.due_rows import is_announced

# The longest that a row can wait in a live service that still works on it: 1,000 in its memory, 10
# at once, 30 s each.
AFTER = "1 hour"

_IS_LEFT = f"updated_at <= %(now)s - interval '{AFTER}' OR updated_at IS NULL"
_GIVEN_UP = "greatest(coalesce(attempt_count, 0), %(max_attempts)s)"


def left_rows(
    table: Table, *, left: Condition, shows: tuple[str, ...], max_attempts: Variable[int]
) -> BatchedChange:
    """Work that makes the rows failed that are ``left`` and were not changed for an hour.

    With ``max_attempts`` a row has no attempts left. ``updated_at`` is one of the columns shown.
    """
    attempts = f"CASE WHEN {is_announced('updated_at')} THEN attempt_count ELSE {_GIVEN_UP} END"
    return BatchedChange(
        table,
        due=(
            left,
            Condition("not deleted", "deleted_at IS NULL"),
            Condition(f"not changed for {AFTER}", _IS_LEFT),
        ),
        changes={
            "status": "'failed'",
            "attempt_count": attempts,
            "last_error": "'left by a crash of the live service'",
            "updated_at": "%(now)s",
        },
        parameters={"max_attempts": max_attempts},
        shows=shows,
        since="updated_at",
        is_retried=True,
        index=Index(("status",)),
    )
