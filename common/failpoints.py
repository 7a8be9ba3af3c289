"""Places at which a test may end the process at once, as a power cut would.

A promise such as "a crash anywhere loses nothing" can be proven only by crashing there. The
environment variable TOAST_FAILPOINT arms one place before the start: ``committed:3`` ends the
process when it comes to ``committed`` for the third time, ``statement:1:0.002`` two
milliseconds after it came to ``statement`` for the first time. Where it is not set, a place
costs one comparison.
"""

import os
import re
import signal
import threading
from dataclasses import dataclass

PLACES = {
    "start": "the threads of the worker have not begun yet",
    "connected": "a pass has its connection",
    "claimed": "a row or the right to a pass is taken for this process alone",
    "statement": "a batch is about to be sent to PostgreSQL",
    "commit": "a transaction of several statements is about to be committed",
    "committed": "a batch is committed",
    "produced": "events are with librdkafka, and no report has been waited for",
    "reported": "Kafka has reported on events, and they are not deleted yet",
    "asked": "a request to a remote side is about to be sent",
    "answered": "a remote side has answered, and nothing is recorded",
    "stopping": "the worker has been told to stop",
}


_WRITTEN = re.compile(r"(?P<place>[a-z]+)(?::([1-9][0-9]*)(?::([0-9]+(?:\.[0-9]+)?))?)?")


@dataclass(slots=True)
class _Failpoint:
    place: str
    times: int
    seconds: float


_armed: _Failpoint | None = None


def arm(text: str) -> None:
    """Arm what the variable says: PLACE, PLACE:TIMES or PLACE:TIMES:SECONDS; nothing if empty.

    Raises ValueError, with what was expected.
    """
    global _armed
    _armed = _parsed(text) if text else None


def reach(place: str) -> None:
    """Say that the process has come to a place of PLACES."""
    if _armed is not None and _armed.place == place:
        _reached(_armed)


def _parsed(text: str) -> _Failpoint:
    written = _WRITTEN.fullmatch(text)
    if written is None or written["place"] not in PLACES:
        raise ValueError(
            f"TOAST_FAILPOINT is {text!r}; expected PLACE, PLACE:TIMES or PLACE:TIMES:SECONDS "
            f"with a place of {', '.join(PLACES)}; leave it out unless you test crashes"
        )
    place, times, seconds = written.groups()
    return _Failpoint(place, int(times or 1), float(seconds or 0))


def _reached(failpoint: _Failpoint) -> None:
    failpoint.times -= 1
    if failpoint.times:
        return
    if not failpoint.seconds:
        _end()
    timer = threading.Timer(failpoint.seconds, _end)
    timer.daemon = True
    timer.start()


def _end() -> None:
    os.kill(os.getpid(), signal.SIGKILL)
