"""The end of an exchange, on the monotonic clock."""

import time


class Deadline:
    """Within ``seconds`` from now every step of an exchange must be done.

    A socket's own timeout begins anew with each call: a peer that sends a byte a second never
    reaches it. So each call gets what is left.
    """

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._at = time.monotonic() + seconds

    @property
    def left(self) -> float:
        """The seconds that are left, more than 0. Raises TimeoutError if none are."""
        left = self._at - time.monotonic()
        if left <= 0:
            raise TimeoutError
        return left
