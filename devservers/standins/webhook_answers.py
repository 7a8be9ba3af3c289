"""The replies of the webhook receiver: by the path of the request, 200 for any other path.

/status/429?retry_after=120   that status, and that Retry-After
/redirect                     302 to /redirected here
/slow                         200 after half a second
/stall                        no reply
/drip-head, /drip-body        one byte of it every tenth of a second
/huge, /bomb                  a body of a gigabyte; 10 MB of zeros as gzip, not requested
/echo                         the secret and the request's headers, like a debug page
/garbage, /hang-up            bytes that are not HTTP; the connection closed
"""

import base64
import gzip
import hashlib
import hmac
import json
import threading
import time
from collections.abc import Mapping
from contextlib import AbstractContextManager
from typing import Protocol
from urllib.parse import parse_qs, urlsplit

from devservers.standins.http_server import Handler

OK = b'{"ok": true}'
TOLERANCE_SECONDS = 300
DRIP_SECONDS = 0.1
SLOW_SECONDS = 0.5
# A limit for clients without a deadline.
LONGEST_SECONDS = 600.0
HUGE_BYTES = 1 << 30
BOMB_BYTES = 10 << 20


class Receiver(Protocol):
    """What the replies need: the receiver's URL, its orders, and a record of each request."""

    url: str
    answers: dict[str, str]
    stopping: threading.Event

    def secret_of(self, path: str) -> str: ...

    def answering(
        self, path: str, headers: Mapping[str, str], body: bytes, *, verified: bool
    ) -> AbstractContextManager[None]: ...


class WebhookHandler(Handler):
    """Answers as the path orders."""

    owner: Receiver

    def do_POST(self) -> None:
        receiver = self.owner
        headers, body = self.read()
        secret = receiver.secret_of(self.path)
        verified = is_genuine(headers, body, secret) if secret else True
        self.close_connection = True
        with receiver.answering(self.path, headers, body, verified=verified):
            order = receiver.answers.get(self.path, self.path) if verified else "/status/401"
            self._answer(urlsplit(order).path, parse_qs(urlsplit(order).query))

    def _answer(self, path: str, query: Mapping[str, list[str]]) -> None:
        first, *rest = path.strip("/").split("/")
        match first:
            case "status":
                wait = query.get("retry_after")
                self.reply(int(rest[0]), OK, {"Retry-After": wait[0]} if wait else {})
            case "redirect":
                self.reply(302, OK, {"Location": f"{self.owner.url}/redirected"})
            case "slow":
                self._pause(SLOW_SECONDS)
                self.reply(200, OK)
            case "stall":
                self._pause(LONGEST_SECONDS)
            case "drip-head":
                self._drip(b"HTTP/1.1 200 OK\r\nX-Drip: ")
            case "drip-body":
                self._drip(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n")
            case "huge":
                self._huge()
            case "bomb":
                self.reply(200, gzip.compress(bytes(BOMB_BYTES)), {"Content-Encoding": "gzip"})
            case "echo":
                secret = self.owner.secret_of(self.path)
                page = json.dumps({"key": secret, "headers": dict(self.headers.items())})
                self.reply(200, page.encode(), {"X-Key": secret})
            case "garbage":
                self.wfile.write(b"220 mail.example ESMTP\r\n")
            case "hang-up":
                pass
            case _:
                self.reply(200, OK)

    def _drip(self, beginning: bytes) -> None:
        self.wfile.write(beginning)
        deadline = time.monotonic() + LONGEST_SECONDS
        while time.monotonic() < deadline and not self._pause(DRIP_SECONDS):
            self.wfile.write(b"a")

    def _huge(self) -> None:
        self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % HUGE_BYTES)
        piece = b"huge" * 16_384
        for _ in range(HUGE_BYTES // len(piece)):
            self.wfile.write(piece)

    def _pause(self, seconds: float) -> bool:
        return self.owner.stopping.wait(seconds)


def is_genuine(headers: Mapping[str, str], body: bytes, secret: str) -> bool:
    """Whether all signatures are valid and the time is recent, as a careful receiver checks."""
    plain = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    sent_at = headers.get("webhook-timestamp", "")
    signed = f"{headers.get('webhook-id')}.{sent_at}.".encode() + body
    key = base64.b64decode(secret[6:]) if secret.startswith("whsec_") else secret.encode()
    standard = base64.b64encode(hmac.digest(key, signed, "sha256")).decode()
    return (
        hmac.compare_digest(headers.get("x-webhook-signature", ""), plain)
        and hmac.compare_digest(headers.get("x-webhook-signature-256", ""), f"sha256={plain}")
        and f"v1,{standard}" in headers.get("webhook-signature", "").split(" ")
        and sent_at == headers.get("x-webhook-timestamp")
        and sent_at.isdecimal()
        and abs(time.time() - int(sent_at)) < TOLERANCE_SECONDS
    )
