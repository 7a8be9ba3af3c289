"""The state of a worker in one line, such as `NAME ok 12 s ago; outbox empty`."""

import time

from common.database.run_history import Run
from common.logging.redaction import redact
from common.scheduling.observer import Observer

# For one line of a terminal; the log has the whole reason.
LONGEST_REASON = 80

_UNITS = ((86_400, "d"), (3_600, "h"), (60, "min"), (1, "s"))


class LastPass(Observer):
    """Keeps the result of the last pass of one scheduler."""

    def __init__(self, scheduler: str) -> None:
        self._scheduler = scheduler
        # Replaced as a whole: one thread writes it, another reads it.
        self._ended: tuple[str, str, float] | None = None

    def ended(self, run: Run, error: Exception | None) -> None:
        reason = "" if run.result == "ok" else run.error
        self._ended = (run.result, reason, time.monotonic())

    def summary(self) -> str:
        """Result and age of the last pass, with the reason unless it was ok."""
        if self._ended is None:
            return f"{self._scheduler} in its first pass"
        result, reason, at = self._ended
        return f"{self._scheduler} {result} {ago(time.monotonic() - at)}{because(reason)}"


def outbox(left: int, reason: str) -> str:
    """The state of the outbox: ``left`` events wait because of ``reason``."""
    if left:
        return f"{left} {'event waits' if left == 1 else 'events wait'}{because(reason)}"
    return f"outbox not published{because(reason)}" if reason else "outbox empty"


def because(reason: str) -> str:
    """The reason in brackets, on one line, redacted and cut; "" if there is none."""
    text = " ".join(redact(reason).split())
    shown = text if len(text) <= LONGEST_REASON else f"{text[:LONGEST_REASON]}..."
    return f" ({shown})" if shown else ""


def ago(seconds: float) -> str:
    """`12 s ago`, `4 min ago`, `3 h ago`, `2 d ago`: in one unit, rounded down."""
    for size, unit in _UNITS:
        if seconds >= size:
            return f"{int(seconds // size)} {unit} ago"
    return "just now"


def ahead(seconds: float) -> str:
    """`in 12 s`, `in 4 min`, `in 3 h`, `in 2 d`: in one unit, rounded down."""
    return f"in {ago(seconds).removesuffix(' ago')}" if seconds >= 1 else "now"
