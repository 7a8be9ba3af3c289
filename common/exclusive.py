"""One machine at a time: for passes whose effects are outside the database."""

from collections.abc import Callable

from common.scheduler import Pass, PassResult

_TRY_LOCK = "SELECT pg_try_advisory_lock(hashtextextended(%s, 0)) AS locked"


def exclusive(run: Callable[[Pass], PassResult]) -> Callable[[Pass], PassResult]:
    """Let this pass run on one machine at a time; the others skip theirs.

    The advisory lock belongs to the connection that records the results: a process that has
    lost its lock has lost the means to record, too. It ends with the pass's connection.
    """

    def run_alone(current: Pass) -> PassResult:
        name = f"toast-pass/{current.scheduler}"
        row = current.connection.execute(_TRY_LOCK, (name,)).fetchone()
        if not (row and row["locked"]):
            return PassResult(skipped="another process is running this pass")
        return run(current)

    return run_alone
