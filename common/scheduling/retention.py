"""Retention: delete rows older than a number of days, not only mark them as deleted."""

from typing import Any

from common.config import Variable
from common.scheduling.batched_change import BatchedChange
from common.scheduling.clock_guard import require_agreement
from common.scheduling.scheduler import Pass, PassResult, Preview


class Retention:
    """A BatchedChange that deletes rows older than ``cutoff``, which the setting ``days`` gives."""

    def __init__(
        self, *, table: str, due: str, delete: str, days: Variable[Any], eager: str = ""
    ) -> None:
        """``delete`` is the ``batch`` of a BatchedChange, ``eager`` its ``eager``."""
        self._days = days
        self._change = BatchedChange(
            table=table,
            due=due,
            batch=delete,
            eager=eager,
            urgent=False,
            parameters=self._parameters,
        )

    def run(self, current: Pass) -> PassResult:
        """Delete the rows that are too old. Raises ClocksDiffer if a clock is wrong."""
        require_agreement(current)
        return self._change.run(current)

    def preview(self, current: Pass) -> Preview:
        """The rows that a pass would delete. Raises ClocksDiffer if a clock is wrong."""
        require_agreement(current)
        return self._change.preview(current)

    def backlog(self, current: Pass, most: int) -> int:
        """Count the rows that are too old, at most ``most``."""
        return self._change.backlog(current, most)

    def _parameters(self, current: Pass) -> dict[str, Any]:
        return {"cutoff": current.now - current.settings[self._days]}
