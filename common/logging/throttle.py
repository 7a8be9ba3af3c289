"""Something that goes on is worth a line in the log when it begins, and then now and then."""

import time

REPEAT_SECONDS = 60.0


class LogThrottle:
    """Decides for one condition whether it is to be said now: at first, then once a minute."""

    def __init__(self) -> None:
        self._admitted_at: float | None = None
        self._skipped = 0

    def admit(self) -> int | None:
        """Note that the condition was met again.

        Returns None if that is not to be said, else how often it was met since it was last said.
        """
        now = time.monotonic()
        if self._admitted_at is not None and now - self._admitted_at < REPEAT_SECONDS:
            self._skipped += 1
            return None
        skipped, self._skipped, self._admitted_at = self._skipped, 0, now
        return skipped

    def reset(self) -> None:
        """Note that the condition is over: the next time is the first again."""
        self._admitted_at, self._skipped = None, 0
