"""Sessions that end at the same time."""

import sys
from concurrent.futures import ThreadPoolExecutor

from flask import Flask, session

from web.access.sessions import Sessions


def test_of_sessions_that_end_at_once_none_is_forgotten() -> None:
    app, sessions = Flask(__name__), Sessions()
    app.secret_key = "secret"

    def log_out(_: int) -> dict[str, object]:
        """Begin a session and end it; returns a copy of its cookie."""
        with app.test_request_context():
            sessions.begin("anna")
            copied = dict(session)
            sessions.end()
            return copied

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(8) as threads:
            copies = list(threads.map(log_out, range(2000)))
    finally:
        sys.setswitchinterval(interval)

    for copied in copies:
        with app.test_request_context():
            session.update(copied)
            assert sessions.login() == ""
