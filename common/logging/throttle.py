"""Something that goes on is worth a line in the log when it begins, and then now and then."""

import time

SAY_AGAIN_SECONDS = 60.0


class LogThrottle:
    """Decides for one condition whether it is to be said now: at first, then once a minute."""

    def __init__(self) -> None:
        self._said_at: float | None = None
        self._unsaid = 0

    def admit(self) -> int | None:
        """Note that the condition was met again.

        Returns None if that is not to be said, else how often it was met since it was last said.
        """
        now = time.monotonic()
        if self._said_at is not None and now - self._said_at < SAY_AGAIN_SECONDS:
            self._unsaid += 1
            return None
        unsaid, self._unsaid, self._said_at = self._unsaid, 0, now
        return unsaid

    def reset(self) -> None:
        """Note that the condition is over: the next time is the first again."""
        self._said_at, self._unsaid = None, 0
