"""A receiver of webhooks on loopback: verifies signatures, and fails as the path orders.

`python -m devservers.standins.webhook_receiver --port 9099 --secret TEXT` prints its URL and serves
until SIGTERM or SIGINT. The reply is 200, except for the paths in webhook_answers.py.

With a secret, a request with a wrong signature or time gets 401 and is not `verified`.
"""

import contextlib
import ssl
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from devservers.standins import command
from devservers.standins.http_server import HttpServer
from devservers.standins.webhook_answers import WebhookHandler


@dataclass(frozen=True, slots=True)
class ReceivedRequest:
    """One request; header names in lower case; ``at`` on the monotonic clock."""

    path: str
    headers: Mapping[str, str]
    body: bytes
    verified: bool
    at: float


class WebhookReceiver(HttpServer):
    """The receiver as a server in this process, in a `with` block.

    ``secret`` is that of every webhook, `{name}` in it means the last part of the path; '' verifies
    nothing. ``received`` are the requests in order, ``most_in_flight`` the most at the same time,
    ``connections`` their number. ``answers`` gives a path the reply of another:
    `answers["/hook"] = "/status/503"`.
    """

    def __init__(
        self,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        secret: str = "",
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.secret = secret
        self.answers: dict[str, str] = {}
        self.received: list[ReceivedRequest] = []
        self.most_in_flight = 0
        self._in_flight = 0
        self._lock = threading.Lock()
        super().__init__(WebhookHandler, host=host, port=port, tls=tls)

    def secret_of(self, path: str) -> str:
        """The secret of the webhook whose URL has this path."""
        return self.secret.replace("{name}", path.rpartition("/")[2])

    @contextlib.contextmanager
    def answering(
        self, path: str, headers: Mapping[str, str], body: bytes, *, verified: bool
    ) -> Iterator[None]:
        """Record a request, which is in flight during the block."""
        with self._lock:
            self.received.append(ReceivedRequest(path, headers, body, verified, time.monotonic()))
            self._in_flight += 1
            self.most_in_flight = max(self.most_in_flight, self._in_flight)
        try:
            yield
        finally:
            with self._lock:
                self._in_flight -= 1


def main() -> int:
    """Serve until a signal; returns the exit code."""
    parser = command.parser("devservers.standins.webhook_receiver", __doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--secret", default="", help="of every webhook; '' verifies nothing")
    options = parser.parse_args()
    receiver = WebhookReceiver(host=options.host, port=options.port, secret=options.secret)
    return command.serve(receiver, lambda: receiver.url)


if __name__ == "__main__":
    sys.exit(main())
