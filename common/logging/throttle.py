"""Limits log records of a condition that lasts."""

import time

REPEAT_SECONDS = 60.0


class LogThrottle:
    """Log a repeated condition the first time, then once per REPEAT_SECONDS."""

    def __init__(self) -> None:
        self._admitted_at: float | None = None
        self._skipped = 0

    def admit(self) -> int | None:
        """Note the condition once more.

        Returns None to skip this record, else the number of records skipped since the last one.
        """
        now = time.monotonic()
        if self._admitted_at is not None and now - self._admitted_at < REPEAT_SECONDS:
            self._skipped += 1
            return None
        skipped, self._skipped, self._admitted_at = self._skipped, 0, now
        return skipped

    def reset(self) -> None:
        """Note that the condition is over; the next record is admitted."""
        self._admitted_at, self._skipped = None, 0
