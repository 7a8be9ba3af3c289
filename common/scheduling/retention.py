"""Retention: really delete every row older than so many days."""

from typing import Any

from common.config import Variable
from common.scheduling.batched_change import BatchedChange
from common.scheduling.clock_guard import require_agreement
from common.scheduling.scheduler import Pass, PassResult, Preview


class Retention:
    """A walk that deletes; ``days`` is the setting whose value gives its ``cutoff``."""

    def __init__(
        self, *, table: str, due: str, delete: str, days: Variable[Any], eager: str = ""
    ) -> None:
        """``delete`` is the walk's batch; ``eager`` is what a BatchedChange says."""
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
        """Delete what is too old. Raises ClocksDiffer rather than trust a doubtful clock."""
        require_agreement(current)
        return self._change.run(current)

    def preview(self, current: Pass) -> Preview:
        """Say what would be deleted, on the same condition."""
        require_agreement(current)
        return self._change.preview(current)

    def backlog(self, current: Pass, most: int) -> int:
        """Count what is too old, no further than ``most``."""
        return self._change.backlog(current, most)

    def _parameters(self, current: Pass) -> dict[str, Any]:
        return {"cutoff": current.now - current.settings[self._days]}
