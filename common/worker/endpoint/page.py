"""What the endpoint answers."""

from typing import NamedTuple

from common.logging.redaction import redact

PLAIN = "text/plain; charset=utf-8"
METRICS = "text/plain; version=0.0.4; charset=utf-8"


class Page(NamedTuple):
    """The response to one request; ``status`` is code and reason."""

    text: str
    content_type: str = PLAIN
    status: str = "200 OK"

    def response(self, *, is_head: bool = False) -> bytes:
        """All bytes of it, without the text if it is for a HEAD request."""
        body = self.text.encode()
        head = (
            f"HTTP/1.0 {self.status}\r\nServer: toast-workers\r\n"
            f"Content-Type: {self.content_type}\r\nContent-Length: {len(body)}\r\n\r\n"
        ).encode()
        return head if is_head else head + body


def verdict(faults: list[str]) -> Page:
    """200 and "ok", or 503 and a line for each fault."""
    if not faults:
        return Page("ok\n")
    text = "".join(f"{' '.join(redact(fault).split())}\n" for fault in faults)
    return Page(text, status="503 Service Unavailable")
