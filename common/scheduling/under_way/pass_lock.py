"""A lock for passes with effects outside the database: one machine at a time."""

from dataclasses import replace

from common import failpoints
from common.scheduling.scheduler import Custom, Pass, PassResult


def exclusive(work: Custom) -> Custom:
    """The same work, but one machine at a time does it; the others skip their pass.

    The advisory lock is on the connection that records the results: a process that loses the lock
    cannot record either.
    """

    def run_alone(current: Pass) -> PassResult:
        with current.connection.try_lock(f"toast-pass/{current.scheduler}") as is_ours:
            if not is_ours:
                return PassResult(skipped="another process is running this pass")
            failpoints.reach("claimed")
            return work.run(current)

    return replace(work, run=run_alone)
