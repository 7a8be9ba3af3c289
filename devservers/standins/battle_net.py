"""A stand-in for Battle.net: its OAuth server and its API, both on one port.

`python -m devservers.standins.battle_net` has the characters and guilds of the sample rows, prints
its address and serves until SIGTERM or SIGINT.
"""

from __future__ import annotations

import base64
import gzip
import json
import sys
import threading
import time
from dataclasses import replace
from http import HTTPStatus
from typing import Any

from devservers.standins import battle_net_documents as documents
from devservers.standins import command
from devservers.standins.battle_net_game import CLASSES, RACES, Game, sample_game
from devservers.standins.battle_net_traffic import BattleNetRequest, Order
from devservers.standins.http_server import Handler, HttpServer

_CHARACTER_PARTS = {
    "": documents.profile,
    "equipment": documents.equipment,
    "statistics": documents.statistics,
    "character-media": documents.media,
}


class BattleNetServer(HttpServer):
    """Battle.net on loopback; `port` 0 means a free one.

    `game` has its characters and guilds, `requests` those received. It accepts `credentials`,
    or any if None; `token_seconds` is the life of a token, `per_second` the quota, beyond which
    it replies 429 until the next second; `latency` is in seconds.
    """

    def __init__(self, game: Game | None = None, *, port: int = 0) -> None:
        self.game = game or Game()
        self.credentials: tuple[str, str] | None = None
        self.requests: list[BattleNetRequest] = []
        self.most_in_flight = 0
        self.latency = 0.0
        self.per_second = 100
        self.token_seconds = 86_399
        self._token_number = 1
        self._orders: list[Order] = []
        self._in_flight = 0
        self._second = 0
        self._in_second = 0
        self._lock = threading.Lock()
        super().__init__(_Handler, port=port)

    @property
    def token(self) -> str:
        """The valid token."""
        return f"USstandin{self.port}token{self._token_number:04}"

    def expire_token(self) -> None:
        """Make the present token invalid; the next one differs."""
        self._token_number += 1

    def order(self, path: str, **how: Any) -> Order:
        """Order a failure for a part of a path, see Order; the first that matches applies."""
        order = Order(path, **how)
        self._orders.append(order)
        return order

    def asked(self, part: str) -> list[BattleNetRequest]:
        """The requests whose decoded path contains this."""
        return [request for request in [*self.requests] if part in request.path]

    def serve(self, request: BattleNetRequest) -> tuple[int, Any, Order]:
        """The reply to one request: status, document, and the order for it."""
        with self._lock:
            self._in_flight += 1
            self.most_in_flight = max(self.most_in_flight, self._in_flight)
            order = self._take_order(request.path)
        time.sleep(self.latency + order.delay)
        with self._lock:
            status, document = self._answer(request, order)
            self.requests.append(replace(request, status=status))
            self._in_flight -= 1
        return status, document, order

    def _take_order(self, path: str) -> Order:
        for order in self._orders:
            if order.times and order.path in path:
                order.times -= 1
                return order
        return Order(path)

    def _answer(self, request: BattleNetRequest, order: Order) -> tuple[int, Any]:
        if order.status:
            return order.status, _error(order.status)
        if request.method == "POST":
            return self._give_token(request)
        if self._is_over_quota():
            return 429, _error(429)
        if request.headers.get("authorization") != f"Bearer {self.token}":
            return 401, _error(401)
        namespace, _, region = request.query.get("namespace", "").partition("-")
        document = self._document(namespace, region, request.path)
        if document is None:
            return 404, _error(404)
        if "locale" not in request.query:
            document = documents.in_every_locale(document)
        if order.edit:
            order.edit(document)
        return 200, document

    def _give_token(self, request: BattleNetRequest) -> tuple[int, Any]:
        basic = request.headers.get("authorization", "").removeprefix("Basic ")
        accepted = basic and (
            self.credentials is None
            or base64.b64decode(basic).decode() == ":".join(self.credentials)
        )
        if not accepted or request.path != "/token" or b"client_credentials" not in request.body:
            return 401, {"error": "unauthorized", "error_description": "Bad credentials"}
        return 200, {
            "access_token": self.token,
            "token_type": "bearer",
            "expires_in": self.token_seconds,
            "sub": "3bdd1d6b9ff54ee1a0e2f8e6b0b5a6c1",
        }

    def _is_over_quota(self) -> bool:
        second = int(time.monotonic())
        self._in_second = self._in_second + 1 if second == self._second else 1
        self._second = second
        return self._in_second > self.per_second

    def _document(self, namespace: str, region: str, path: str) -> Any:
        match (namespace, *path.strip("/").split("/")):
            case ("profile", "profile", "wow", "character", realm, name, *part):
                character = self.game.characters.get((region, realm, name))
                make = _CHARACTER_PARTS.get("/".join(part))
                if character is None or make is None:
                    return None
                hidden = make is documents.media and not character.has_picture
                return None if hidden else make(character)
            case ("profile", "data", "wow", "guild", realm, name, *part):
                guild = self.game.guilds.get((region, realm, name))
                make_guild = {"": documents.guild, "roster": documents.roster}.get("/".join(part))
                return make_guild(guild) if guild and make_guild else None
            case ("dynamic", "data", "wow", "realm", "index"):
                return documents.realm_index(self.game.realms(region))
            case ("static", "data", "wow", "playable-class", "index"):
                return documents.playable_index("classes", CLASSES)
            case ("static", "data", "wow", "playable-race", "index"):
                return documents.playable_index("races", RACES)
        return None


class _Handler(Handler):
    owner: BattleNetServer

    def do_GET(self) -> None:
        headers, body = self.read()
        request = BattleNetRequest(self.command, self.path, headers, body, time.monotonic())
        status, document, order = self.owner.serve(request)
        content = json.dumps(document).encode() if order.body is None else order.body
        zipped = "gzip" in headers.get("accept-encoding", "")
        self._send(status, gzip.compress(content, 1) if zipped else content, zipped, order)

    do_POST = do_GET

    def _send(self, status: int, content: bytes, zipped: bool, order: Order) -> None:
        headers = {
            "Content-Type": "application/json;charset=UTF-8",
            "Content-Length": str(len(content)),
            **({"Content-Encoding": "gzip"} if zipped else {}),
            **order.headers,
        }
        self.send_head(status, headers)
        if order.cut:
            content = content[: len(content) // 2]
            self.close_connection = True
        if not order.drip:
            self.wfile.write(content)
            return
        for index in range(len(content)):
            self.wfile.write(content[index : index + 1])
            time.sleep(order.drip)


def _error(status: int) -> dict[str, Any]:
    detail = HTTPStatus(status).phrase
    return {"code": status, "type": f"BLZWEBAPI{status:08}", "detail": detail}


def main() -> int:
    """Serve until a signal; returns the exit code."""
    options = command.parser("devservers.standins.battle_net", __doc__).parse_args()
    server = BattleNetServer(sample_game(), port=options.port)
    return command.serve(server, lambda: server.url)


if __name__ == "__main__":
    sys.exit(main())
