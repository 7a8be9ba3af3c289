"""An HTTP proxy on loopback: tunnels (CONNECT), and requests with a whole URL that it forwards.

It knows names of its own, and every other name leads nowhere. With a ``login``, user:password, it
answers 407 to whoever does not log in; with a ``status``, that to everybody.
"""

from __future__ import annotations

import base64
import socket
import threading
from collections.abc import Mapping
from contextlib import closing, suppress
from urllib.parse import urlsplit, urlunsplit

from devservers.standins.http_server import Handler, HttpServer


class ForwardProxy(HttpServer):
    """``names`` are the ports of loopback to which its names lead; ``asked`` are the targets of
    all requests: host:port, or the URL."""

    def __init__(self, names: Mapping[str, int], *, login: str = "", status: int = 0) -> None:
        self.names = names
        self.status = status
        self.authorization = f"Basic {base64.b64encode(login.encode()).decode()}" if login else None
        self.asked: list[str] = []
        super().__init__(ProxyHandler)


class ProxyHandler(Handler):
    """Answers by the orders of its proxy, or passes bytes on until one side closes."""

    owner: ForwardProxy

    def do_CONNECT(self) -> None:
        if remote := self._remote(self.path.rpartition(":")[0]):
            with closing(remote):
                self.send_head(200, {})
                self._pass_on(remote)

    def do_POST(self) -> None:
        _, body = self.read()
        parts = urlsplit(self.path)
        if remote := self._remote(parts.hostname or ""):
            target = urlunsplit(("", "", *parts[2:]))
            lines = [f"{self.command} {target} HTTP/1.1", "Connection: close"]
            lines += (f"{name}: {text}" for name, text in self.headers.items() if _is_passed(name))
            head = "\r\n".join((*lines, "", ""))
            with closing(remote):
                remote.sendall(head.encode() + body)
                self._pass_on(remote)

    do_GET = do_POST

    def _remote(self, host: str) -> socket.socket | None:
        """A connection to this name, or None after a refusal."""
        proxy = self.owner
        proxy.asked.append(self.path)
        self.close_connection = True
        login = self.headers.get("Proxy-Authorization")
        if proxy.authorization not in (None, login):
            self.reply(407, headers={"Proxy-Authenticate": "Basic"})
        elif proxy.status or host not in proxy.names:
            self.reply(proxy.status or 502)
        else:
            return socket.create_connection(("127.0.0.1", proxy.names[host]))
        return None

    def _pass_on(self, remote: socket.socket) -> None:
        back = threading.Thread(target=_pump, args=(remote, self.connection), daemon=True)
        back.start()
        _pump(self.connection, remote)
        back.join()


def _is_passed(header: str) -> bool:
    """Whether a header is for the server, not for the proxy."""
    return header.lower() not in ("connection", "proxy-authorization")


def _pump(source: socket.socket, target: socket.socket) -> None:
    """Pass bytes on until the source ends; then the target gets no more."""
    with suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)
    with suppress(OSError):
        target.shutdown(socket.SHUT_WR)
