"""Signs of life of work on one thread, for those who watch it from another."""

import time

from common.database.session_settings import STATEMENT_SECONDS

# A batch takes at most one statement's limit, and some time to connect.
STALLED_SECONDS = STATEMENT_SECONDS + 30.0


class Heartbeat:
    """``with heartbeat:`` is the work, and beat() shows that it makes progress."""

    def __init__(self) -> None:
        self._beat_at: float | None = None

    def __enter__(self) -> None:
        self.beat()

    def __exit__(self, *error: object) -> None:
        self._beat_at = None

    def beat(self) -> None:
        """Note progress."""
        self._beat_at = time.monotonic()

    @property
    def is_running(self) -> bool:
        """True during the work."""
        return self._beat_at is not None

    def stalled(self) -> bool:
        """True during work without progress for more than STALLED_SECONDS."""
        beat_at = self._beat_at
        return beat_at is not None and time.monotonic() - beat_at > STALLED_SECONDS
