"""Why a pass ends early: the worker stops, or an operator has paused its scheduler."""

import threading
import time

from common.database.controls import pauses
from common.database.controls.pauses import Pause
from common.database.session import Session

# A pass looks for a pause at most so often, between two transactions on its own connection.
LOOK_SECONDS = 1.0


class Interruption:
    """Tells one pass, on every thread of it, whether to end.

    ``pause`` is the pause that it has seen; at first, the one that it began in.
    """

    def __init__(
        self,
        stop: threading.Event,
        connection: Session,
        job: tuple[str, str],
        pause: Pause | None,
        *,
        obeys_pauses: bool,
    ) -> None:
        """``job`` is the service and the scheduler. Call it on the thread of the pass."""
        self._stop = stop
        self._connection = connection
        self._job = job
        self._obeys_pauses = obeys_pauses
        self.pause = pause if obeys_pauses else None
        self._thread = threading.get_ident()
        self._look_at = time.monotonic() + LOOK_SECONDS

    def is_wanted(self) -> bool:
        """True once the pass is to end."""
        self._look_if_due()
        return self._stop.is_set() or self.pause is not None

    def wait(self, seconds: float) -> bool:
        """Wait so long; returns True as soon as the pass is to end."""
        deadline = time.monotonic() + seconds
        while not self.is_wanted() and (left := deadline - time.monotonic()) > 0:
            self._stop.wait(min(left, LOOK_SECONDS))
        return self.is_wanted()

    def _look_if_due(self) -> None:
        if not self._obeys_pauses or self.pause or time.monotonic() < self._look_at:
            return
        # Another thread may not come between the statements of the pass.
        if threading.get_ident() == self._thread and self._connection.is_between_transactions:
            self._look_at = time.monotonic() + LOOK_SECONDS
            _, self.pause = pauses.now_and_pause(self._connection, *self._job)
