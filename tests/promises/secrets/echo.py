"""A server that hides nothing: it answers with what it was sent, and with secrets."""

import json
import threading
from collections.abc import Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Self

from tests.promises.secrets.search import spelled


class Echo:
    """The server on loopback; use it in a ``with``.

    Each answer has this ``status``, and holds, in headers and body, the request and these
    ``secrets`` in all their spellings. With ``filler`` its body begins with so many characters.
    """

    def __init__(self, status: int, secrets: Sequence[str] = (), *, filler: int = 0) -> None:
        self.status = status
        self.secrets = secrets
        self.filler = filler
        self.signatures: list[str] = []
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.echo = self

    @property
    def port(self) -> int:
        return self._server.server_port

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *error: object) -> None:
        self._server.shutdown()
        self._server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    echo: Echo


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def do_POST(self) -> None:
        echo = self.server.echo
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        echo.signatures += [
            value.rpartition(",")[2].removeprefix("sha256=")
            for name, value in self.headers.items()
            if "signature" in name.lower()
        ]
        url = f"{echo.url}{self.path}"
        sent = dict(self.headers.items())
        content = {
            "message": f"no such thing as {url} ({' '.join(echo.secrets)})",
            "code": 10015,
            "id": echo.secrets[0] if echo.secrets else "1",
            "you": {"url": url, "path": self.path, "headers": sent},
            "spellings": [spelled(secret) for secret in echo.secrets],
        }
        body = ("." * echo.filler + json.dumps(content)).encode()
        self.send_response(echo.status, "OK")
        for name, value in {**sent, "Host": "", "Content-Type": "application/json"}.items():
            self.send_header(f"X-Your-{name}", value)
        for number, secret in enumerate(echo.secrets):
            self.send_header(f"X-Planted-{number}", secret)
            self.send_header("Set-Cookie", f"session={number}-{secret}; HttpOnly")
        self.send_header("Location", f"http://elsewhere.example{self.path}")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_POST

    def log_message(self, format: str, *arguments: object) -> None:
        """Log nothing."""
