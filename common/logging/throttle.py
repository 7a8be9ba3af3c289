"""Limits records and reports of a condition that lasts."""

import time
from collections.abc import Callable

REPEAT_SECONDS = 60.0


class Throttle:
    """Admits a repeated condition the first time, then once in a while."""

    def __init__(self) -> None:
        self._admitted_at: float | None = None
        self._skipped = 0

    def admit(self, seconds: float) -> int | None:
        """Note the condition once more.

        Returns None if it was admitted within ``seconds``, else the number of times since then.
        """
        now = time.monotonic()
        if self._admitted_at is not None and now - self._admitted_at < seconds:
            self._skipped += 1
            return None
        skipped, self._skipped, self._admitted_at = self._skipped, 0, now
        return skipped

    def reset(self) -> None:
        """Note that the condition is over; the next time it is admitted."""
        self._admitted_at, self._skipped = None, 0


class LogThrottle(Throttle):
    """Logs a repeated condition the first time, then once per REPEAT_SECONDS."""

    def __init__(self, write: Callable[..., None], write_repeated: Callable[..., None]) -> None:
        """Records go to ``write``, those between two of them to ``write_repeated``."""
        super().__init__()
        self._write = write
        self._write_repeated = write_repeated

    def write(self, event: str, **fields: object) -> None:
        """Write the record; ``repeated`` is the number of those since the last to ``write``."""
        skipped = self.admit(REPEAT_SECONDS)
        log = self._write_repeated if skipped is None else self._write
        log(event, **fields, **({"repeated": skipped} if skipped else {}))
