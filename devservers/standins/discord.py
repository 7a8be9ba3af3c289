"""Discord's webhook API on loopback, as strict as the real one.

`python -m devservers.standins.discord --port 9900` prints its URL and serves until SIGTERM or
SIGINT; port 0 means a free one. Every webhook exists, `/api/webhooks/ID/TOKEN` with any ID and
token, except those with `--gone ID`. discord_rules.py has the rules for requests. A test may start
it in its own process, order other replies (discord_answers.py), and read the requests.
"""

import json
import re
import sys
import threading
import time
from collections import defaultdict, deque
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import parse_qs, urlsplit

from devservers.standins import command
from devservers.standins.discord_answers import HEALTHY, UNKNOWN_WEBHOOK, Reply, Stall, rate_limited
from devservers.standins.discord_rules import TrafficRules, Verdict, request_fault
from devservers.standins.http_server import Handler, HttpServer

_PATH = re.compile(r"/api(?:/v(?P<version>\d+))?/webhooks/(?P<webhook>[^/]+)/[^/]+")
_FIRST_MESSAGE = 1_100_000_000_000_000_000


@dataclass(frozen=True, slots=True)
class DiscordRequest:
    """A request, and the status of its reply (0: no reply).

    ``too_early``: an earlier reply had asked to wait longer.
    """

    at: float
    webhook: str
    target: str
    headers: Mapping[str, str]
    body: dict[str, Any]
    status: int
    too_early: bool

    @property
    def query(self) -> dict[str, list[str]]:
        return parse_qs(urlsplit(self.target).query)

    @property
    def embed(self) -> dict[str, Any]:
        embed: dict[str, Any] = self.body["embeds"][0]
        return embed

    @property
    def event_id(self) -> str:
        """The event's id, from the footer of the embed."""
        text: str = self.embed["footer"]["text"]
        return text.removeprefix("Event ID: ").split(" ")[0]


class DiscordServer(HttpServer):
    """The server, in this process."""

    def __init__(
        self,
        port: int = 0,
        *,
        gone: tuple[str, ...] = (),
        scale: float = 1.0,
        limit_headers: bool = True,
    ) -> None:
        """``scale`` shortens the time of all limits: a minute is 6 s at 0.1. ``limit_headers``:
        replies have the X-RateLimit headers."""
        self.requests: list[DiscordRequest] = []
        self._orders: defaultdict[str, deque[Reply | Stall]] = defaultdict(deque)
        self._always: dict[str, Reply | Stall] = dict.fromkeys(gone, UNKNOWN_WEBHOOK)
        self._rules = TrafficRules(scale)
        self._limit_headers = limit_headers
        self._lock = threading.Lock()
        super().__init__(_Handler, port=port)

    def webhook_url(self, webhook: str, token: str = "not-a-secret") -> str:
        """A webhook's URL as Discord's UI shows it: without a version."""
        return f"{self.url}/api/webhooks/{webhook}/{token}"

    def order(self, webhook: str, *answers: Reply | Stall) -> None:
        """Send these replies to the next requests of this webhook, one each."""
        with self._lock:
            self._orders[webhook].extend(answers)

    def order_always(self, webhook: str, answer: Reply | Stall) -> None:
        """Send this reply to every request of this webhook."""
        with self._lock:
            self._always[webhook] = answer

    def delivered(self) -> list[str]:
        """The event ids of all messages posted, in order."""
        return [request.event_id for request in self.requests if request.status in (200, 204)]

    def too_early(self) -> list[DiscordRequest]:
        """The requests during the wait of an earlier 429."""
        return [request for request in self.requests if request.too_early]

    def answer(self, target: str, headers: Mapping[str, str], body: dict[str, Any]) -> Reply | None:
        """Record one request and return the reply; None for no reply."""
        now = time.monotonic()
        path = _PATH.fullmatch(urlsplit(target).path)
        if path is None:
            return Reply(404, {"message": "404: Not Found", "code": 0})
        webhook = path["webhook"]
        with self._lock:
            verdict = self._rules.enter(webhook, now)
            answer = self._choose(webhook, verdict)
            fault = request_fault(path["version"], headers.get("User-Agent", ""), body)
            if answer is HEALTHY and fault:
                answer = Reply(fault.status, {"code": fault.code, "message": fault.message})
            if isinstance(answer, Reply) and answer.status == 200 and not answer.body:
                answer = self._message(answer, target, body)
            if isinstance(answer, Reply):
                answer = self._with_limits(webhook, answer, verdict, now)
            status = answer.status if isinstance(answer, Reply) else 0
            self.requests.append(
                DiscordRequest(now, webhook, target, headers, body, status, verdict.too_early)
            )
        self.stopping.wait(answer.delay if isinstance(answer, Reply) else answer.seconds)
        return answer if isinstance(answer, Reply) else None

    def _choose(self, webhook: str, verdict: Verdict) -> Reply | Stall:
        """The limits first, then the ordered replies."""
        if verdict.wait > 0:
            return rate_limited(round(verdict.wait, 3))
        if self._orders[webhook]:
            return self._orders[webhook].popleft()
        return self._always.get(webhook, HEALTHY)

    def _with_limits(self, webhook: str, reply: Reply, verdict: Verdict, now: float) -> Reply:
        """Begin the wait of a 429, and add the headers with the limits."""
        if reply.retry_after and reply.everywhere:
            self._rules.close_all(now, now + reply.retry_after)
        elif reply.retry_after:
            self._rules.close(webhook, now + reply.retry_after)
        if not self._limit_headers or reply.everywhere:
            return reply
        limits = {
            "X-RateLimit-Limit": "5",
            "X-RateLimit-Remaining": str(verdict.remaining),
            "X-RateLimit-Reset-After": f"{verdict.reset_after:.3f}",
            "X-RateLimit-Bucket": "the-same-for-every-webhook",
        }
        return replace(reply, headers={**limits, **reply.headers})

    def _message(self, reply: Reply, target: str, body: dict[str, Any]) -> Reply:
        if parse_qs(urlsplit(target).query).get("wait") != ["true"]:
            return replace(reply, status=204)
        message = {"id": str(_FIRST_MESSAGE + len(self.requests)), "type": 0, "content": ""}
        return replace(reply, body=message | {"embeds": body["embeds"]})


class _Handler(Handler):
    wbufsize = -1  # headers and body in one packet
    owner: DiscordServer

    def do_POST(self) -> None:
        _, body = self.read()
        reply = self.owner.answer(self.path, dict(self.headers), json.loads(body))
        if reply is None:
            self.close_connection = True
            return
        text = reply.body if isinstance(reply.body, str) else json.dumps(reply.body)
        headers = {"Content-Type": "application/json", **reply.headers}
        self.reply(reply.status, text.encode(), headers)


def main() -> int:
    """Serve until a signal; returns the exit code."""
    parser = command.parser("devservers.standins.discord", __doc__)
    parser.add_argument("--gone", metavar="ID", action="append", default=[], help="was deleted")
    options = parser.parse_args()
    server = DiscordServer(options.port, gone=tuple(options.gone))
    return command.serve(server, lambda: server.url)


if __name__ == "__main__":
    sys.exit(main())
