"""A stand-in of an OAuth server: client credentials for a token without a signature."""

import base64
import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

CLIENT_ID, CLIENT_SECRET = "toast-id", "horse-stapler"


class TokenEndpoint:
    """Serves tokens at ``url`` to the client CLIENT_ID; each is valid for ``seconds``.

    ``scopes`` are those that it asked for, one for each token.
    """

    def __init__(self) -> None:
        self.seconds = 600
        self.scopes: list[str] = []
        endpoint = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                form = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
                expected = base64.b64encode(f"{CLIENT_ID}:{CLIENT_SECRET}".encode()).decode()
                if self.headers.get("Authorization") != f"Basic {expected}":
                    self.answer(401, {"error": "invalid_client"})
                    return
                endpoint.scopes += [
                    pair.removeprefix("scope=") for pair in form.split("&") if "scope=" in pair
                ]
                token = _token(endpoint.seconds)
                self.answer(200, {"access_token": token, "expires_in": endpoint.seconds})

            def answer(self, status: int, body: dict[str, Any]) -> None:
                text = json.dumps(body).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            def log_message(self, format: str, *args: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/token"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *error: object) -> None:
        self._server.shutdown()
        self._server.server_close()


def _token(seconds: int) -> str:
    now = int(time.time())
    claims = {"sub": "toast", "iat": now, "exp": now + seconds}
    return f"{_part({'alg': 'none'})}.{_part(claims)}."


def _part(value: dict[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()
