"""Handles one HTTP request for a page of a worker."""

from http.server import BaseHTTPRequestHandler
from typing import Protocol, cast

# For a client that sends no request or does not read the response.
CLIENT_SECONDS = 5.0


class Pages(Protocol):
    """The server of a request, which has the pages."""

    def page(self, path: str) -> tuple[str, str, int]:
        """Text, content type and status of the response for this path."""


class PageHandler(BaseHTTPRequestHandler):
    """Answers GET and HEAD with the server's page of the path."""

    timeout = CLIENT_SECONDS
    server_version = "toast-workers"
    sys_version = ""

    def do_GET(self) -> None:
        text, content_type, status = cast(Pages, self.server).page(self.path)
        body = text.encode()
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    do_HEAD = do_GET

    def log_message(self, format: str, *arguments: object) -> None:
        """Log nothing: a line per scrape would flood the log."""
