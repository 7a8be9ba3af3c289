"""The sessions at a port: each is a signed cookie, which names its login and when it began."""

import secrets
import threading
import time

from flask import session

SESSION_HOURS = 12

_LOGIN, _SINCE, _ID = "login", "since", "id"
_SECONDS = SESSION_HOURS * 3600


class Sessions:
    """Begins sessions and ends them, for the request at hand; for several threads."""

    def __init__(self) -> None:
        # Until when a session that was logged out would last: its cookie may have been copied.
        self._ended: dict[str, float] = {}
        self._lock = threading.Lock()

    def begin(self, login: str) -> None:
        """Begin the session of this login."""
        # With a new token for forms: the one before was that of anybody.
        session.clear()
        session.update({_LOGIN: login, _SINCE: int(time.time()), _ID: secrets.token_urlsafe(16)})
        session.permanent = True

    def end(self) -> None:
        """End the session, in every browser that has its cookie."""
        now = time.time()
        with self._lock:  # else of two that end at once, one could be forgotten
            kept = {each: until for each, until in self._ended.items() if until >= now}
            self._ended = {**kept, session.get(_ID, ""): now + _SECONDS}
        session.clear()

    def login(self) -> str:
        """The login of the session; "" if there is none, or it has ended."""
        # The cookie's own time is that of its last change.
        age = time.time() - session.get(_SINCE, 0)
        is_open = 0 <= age < _SECONDS and session.get(_ID, "") not in self._ended
        return str(session.get(_LOGIN, "")) if is_open else ""
