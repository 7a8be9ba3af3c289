"""Failed runs that wait until the database is back."""

from common.database.run_history import Run
from common.database.session import Session


class UnrecordedRuns:
    """The failed runs of one scheduler that are not in the history yet."""

    def __init__(self) -> None:
        self._runs: list[Run] = []

    def keep(self, run: Run) -> None:
        """Keep a run; of consecutive ones without a connection, only the first and the last."""
        in_a_row = [*self._runs[-2:], run]
        if len(in_a_row) == 3 and not any(each.begun for each in in_a_row):
            self._runs.pop()
        self._runs.append(run)

    def record(self, connection: Session) -> None:
        """Record them in their order; an error leaves the rest for later."""
        while self._runs:
            self._runs[0].record_end(connection)
            self._runs.pop(0)
