"""Failpoints: places at which a test kills the process, as a power cut would.

The environment variable TOAST_FAILPOINT arms one of them before the start: ``committed:3`` kills
the process when it reaches ``committed`` for the third time, ``statement:1:0.002`` two
milliseconds after it reaches ``statement`` for the first time. An unarmed failpoint costs one
comparison.
"""

import os
import re
import signal
import threading
from dataclasses import dataclass

PLACES = {
    "start": "no thread of the worker has started",
    "connected": "a pass has its connection",
    "claimed": "a row or a pass is locked for this process",
    "statement": "a batch is about to be sent to PostgreSQL",
    "commit": "a transaction of several statements is about to be committed",
    "committed": "a batch is committed",
    "produced": "librdkafka has events, and their delivery reports are open",
    "reported": "delivery reports are in, and the events not yet deleted",
    "asked": "a request to a remote API is about to be sent",
    "answered": "a remote API has replied, and nothing is recorded",
    "stopping": "the worker received a stop signal",
}


_WRITTEN = re.compile(r"(?P<place>[a-z]+)(?::([1-9][0-9]*)(?::([0-9]+(?:\.[0-9]+)?))?)?")


@dataclass(slots=True)
class _Failpoint:
    place: str
    times: int
    seconds: float


_armed: _Failpoint | None = None


def arm(text: str) -> None:
    """Arm PLACE, PLACE:TIMES or PLACE:TIMES:SECONDS; nothing if ``text`` is empty.

    Raises ValueError with the expected form.
    """
    global _armed
    _armed = _parsed(text) if text else None


def reach(place: str) -> None:
    """Mark a place of PLACES; kill the process if it is armed and its turn has come."""
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
