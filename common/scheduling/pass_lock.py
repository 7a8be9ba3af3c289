"""One machine at a time: for passes whose effects are outside the database."""

from collections.abc import Callable

from common import failpoints
from common.scheduling.scheduler import Pass, PassResult


def exclusive(run: Callable[[Pass], PassResult]) -> Callable[[Pass], PassResult]:
    """Let this pass run on one machine at a time; the others skip theirs.

    The advisory lock belongs to the connection that records the results: a process that has
    lost its lock has lost the means to record, too.
    """

    def run_alone(current: Pass) -> PassResult:
        with current.connection.try_lock(f"toast-pass/{current.scheduler}") as is_ours:
            if not is_ours:
                return PassResult(skipped="another process is running this pass")
            failpoints.reach("claimed")
            return run(current)

    return run_alone
