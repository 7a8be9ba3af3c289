"""Login links: `toast web link` signs one with the secret of the server, which takes it once."""

import secrets
import threading
import time

from itsdangerous import BadData, URLSafeTimedSerializer

LINK_SECONDS = 600
_PURPOSE = "toast web link"


def make(secret: bytes, login: str) -> str:
    """The token of a link that logs in as ``login``."""
    token = _serializer(secret).dumps([login, secrets.token_hex(8)])
    return str(token)


class Links:
    """Accepts the tokens that were made with this secret, each once; safe to share by threads."""

    def __init__(self, secret: bytes) -> None:
        self._serializer = _serializer(secret)
        self._lock = threading.Lock()
        # Until when a token that was used would be valid.
        self._used: dict[str, float] = {}

    def use(self, token: str) -> str:
        """The login of a token, which is used by that; "" if it is not valid, or used before."""
        try:
            login, _ = self._serializer.loads(token, max_age=LINK_SECONDS)
        except BadData:
            return ""
        now = time.monotonic()
        with self._lock:
            self._used = {each: until for each, until in self._used.items() if until >= now}
            if token in self._used:
                return ""
            self._used[token] = now + 2 * LINK_SECONDS
        return str(login)


def _serializer(secret: bytes) -> URLSafeTimedSerializer:
    return URLSafeTimedSerializer(secret, salt=_PURPOSE)
