"""A stand-in of an OAuth server: client credentials for a token without a signature."""

import base64
import json
import time
from typing import Any
from urllib.parse import parse_qs

from devservers.standins.http_server import Handler, HttpServer

CLIENT_ID, CLIENT_SECRET = "toast-id", "horse-stapler"


class TokenEndpoint(HttpServer):
    """Serves tokens at ``url`` to the client CLIENT_ID; each is valid for ``seconds``.

    ``scopes`` are those that it asked for, one for each token.
    """

    def __init__(self) -> None:
        self.seconds = 600
        self.scopes: list[str] = []
        super().__init__(_Handler)


class _Handler(Handler):
    owner: TokenEndpoint

    def do_POST(self) -> None:
        headers, form = self.read()
        expected = base64.b64encode(f"{CLIENT_ID}:{CLIENT_SECRET}".encode()).decode()
        if headers.get("authorization") != f"Basic {expected}":
            self._answer(401, {"error": "invalid_client"})
            return
        self.owner.scopes += parse_qs(form.decode()).get("scope", [])
        seconds = self.owner.seconds
        self._answer(200, {"access_token": _token(seconds), "expires_in": seconds})

    def _answer(self, status: int, body: dict[str, Any]) -> None:
        self.reply(status, json.dumps(body).encode(), {"Content-Type": "application/json"})


def _token(seconds: int) -> str:
    now = int(time.time())
    claims = {"sub": "toast", "iat": now, "exp": now + seconds}
    return f"{_part({'alg': 'none'})}.{_part(claims)}."


def _part(value: dict[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()
