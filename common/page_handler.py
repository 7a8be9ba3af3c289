"""One request for a page of a worker, and the answer to it."""

from http.server import BaseHTTPRequestHandler

from common.endpoints import Page, PageServer

# For a client that connects and does not ask, or does not take the answer.
CLIENT_SECONDS = 5.0


class PageHandler(BaseHTTPRequestHandler):
    """Answers GET and HEAD with what the server's pages say of the path."""

    timeout = CLIENT_SECONDS
    server: PageServer
    server_version = "toast-workers"
    sys_version = ""

    def do_GET(self) -> None:
        page = self._page()
        body = page.text.encode()
        self.send_response(page.status)
        self.send_header("Content-Type", page.content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    do_HEAD = do_GET

    def _page(self) -> Page:
        make = self.server.pages.get(self.path.partition("?")[0])
        if make is None:
            known = ", ".join(self.server.pages)
            return Page(f"not found; there are {known}\n", status=404)
        return make()

    def log_message(self, format: str, *arguments: object) -> None:
        """Say nothing: a line per scrape would bury the log."""
