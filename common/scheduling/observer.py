"""The interface for metrics, Sentry, the log and the publisher to follow passes."""

from common.database.run_history import Run
from common.scheduling.scheduler import Pass, PassResult


class Observer:
    """Callbacks of a pass, on the thread that runs it; override those that are needed.

    They must be fast and must not raise: the pass waits for them.
    """

    def started(self, run: Run) -> None:
        """A pass begins, before it connects to PostgreSQL."""

    def connected(self, run: Run, current: Pass) -> None:
        """The pass has its connection and is about to start its work."""

    def progressed(self, run: Run, done: PassResult, share: float | None) -> None:
        """The pass has done ``done`` since the previous call.

        ``share`` of all its work is done, from 0 to 1; None if unknown.
        """

    def ended(self, run: Run, error: Exception | None) -> None:
        """The pass has ended with the result in ``run``; ``error`` if it failed."""
