"""A lock for passes with effects outside the database: one machine at a time."""

from collections.abc import Callable

from common import failpoints
from common.scheduling.scheduler import Pass, PassResult


def exclusive(run: Callable[[Pass], PassResult]) -> Callable[[Pass], PassResult]:
    """Wrap ``run`` so that one machine at a time runs it; the others skip their pass.

    The advisory lock is on the connection that records the results: a process that loses the lock
    cannot record either.
    """

    def run_alone(current: Pass) -> PassResult:
        with current.connection.try_lock(f"toast-pass/{current.scheduler}") as is_ours:
            if not is_ours:
                return PassResult(skipped="another process is running this pass")
            failpoints.reach("claimed")
            return run(current)

    return run_alone
