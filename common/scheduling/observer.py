"""Who wants to know how a pass is getting on: metrics, Sentry, the log, the publisher."""

from common.database.run_history import Run
from common.scheduling.scheduler import Pass, PassResult


class Observer:
    """Told of every pass of a worker, on the thread that runs it; overrides what it wants to hear.

    It must be quick and must not raise: the pass waits for it.
    """

    def started(self, run: Run) -> None:
        """A pass begins; whether PostgreSQL is there is not known yet."""

    def connected(self, run: Run, current: Pass) -> None:
        """PostgreSQL is there, and the pass about to do its work."""

    def progressed(self, run: Run, done: PassResult, share: float | None) -> None:
        """The pass is alive and has done that since it last said so.

        ``share`` of all its work is behind it, from 0 to 1; None where it cannot know.
        """

    def ended(self, run: Run, error: Exception | None) -> None:
        """The pass has ended as ``run`` says; ``error`` is why it failed."""
