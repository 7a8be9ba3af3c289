"""The page as a process of its own, asked over a real socket.

with serving(environment(database, **at_socket(folder))) as page:
    answer = Browser(f"{folder}/web.sock").get("/")
"""

import http.client
import re
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.cookies import SimpleCookie
from pathlib import Path
from urllib.parse import urlencode

from devservers.child_processes import PATIENCE
from testing.processes import Process
from tests.support.scrapes import Answer

_WHO = re.compile(r'class="who"[^>]*><span>([^<]*)<')
_TOKEN = re.compile(r'name="csrf" value="([^"]+)"')


def at_socket(folder: Path) -> dict[str, str]:
    """The settings of a page at a Unix socket in this folder."""
    return {"WEB_LISTEN": f"{folder}/web.sock", "WEB_SECRET_FILE": f"{folder}/secret"}


def at_port(folder: Path, port: int) -> dict[str, str]:
    """The settings of a page at a port of this machine."""
    return {"WEB_LISTEN": f"127.0.0.1:{port}", "WEB_SECRET_FILE": f"{folder}/secret"}


@contextmanager
def serving(env: Mapping[str, str], *, fresh: bool = False) -> Iterator[Process]:
    """`toast web` with this environment, once it listens; ``fresh``: not as a fork."""
    with Process("workers", "web", env=env, fresh=fresh) as page:
        page.wait_for("page_opened")
        yield page


@contextmanager
def serving_well(env: Mapping[str, str]) -> Iterator[Process]:
    """The same; at its end it must stop as asked, and its log have no traceback."""
    with serving(env) as page:
        yield page
        assert page.stop() == 0
        assert "Traceback" not in page.log


def connect(address: str) -> socket.socket:
    """A connection to a Unix socket, or to HOST:PORT."""
    if not address.startswith("/"):
        host, _, port = address.rpartition(":")
        return socket.create_connection((host.strip("[]"), int(port)), PATIENCE)
    client = socket.socket(socket.AF_UNIX)
    client.settimeout(PATIENCE)
    client.connect(address)
    return client


def who(page: str) -> str:
    """The login that this page shows; "" without one."""
    found = _WHO.search(page)
    return found[1] if found else ""


class Browser:
    """Asks, keeps cookies, and posts forms with the token of the last page."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.cookies = SimpleCookie()
        self.token = ""

    def get(self, path: str, **headers: str) -> Answer:
        """Ask for a page."""
        return self.ask("GET", path, None, headers)

    def post(self, path: str, headers: Mapping[str, str] | None = None, **form: str) -> Answer:
        """Post a form."""
        body = urlencode({"csrf": self.token, **form})
        kind = {"Content-Type": "application/x-www-form-urlencoded"}
        return self.ask("POST", path, body, {**kind, **(headers or {})})

    def ask(self, method: str, path: str, body: str | None, headers: Mapping[str, str]) -> Answer:
        """Send any request."""
        client = http.client.HTTPConnection("localhost", timeout=PATIENCE)
        client.sock = connect(self.address)
        sent = "; ".join(f"{name}={each.value}" for name, each in self.cookies.items())
        names = {name.replace("_", "-"): value for name, value in headers.items()}
        try:
            client.request(method, path, body, {**({"Cookie": sent} if sent else {}), **names})
            reply = client.getresponse()
            text = reply.read().decode()
        finally:
            client.close()
        for cookie in reply.headers.get_all("Set-Cookie", []):
            self.cookies.load(cookie)
        if found := _TOKEN.search(text):
            self.token = found[1]
        return Answer(reply.status, {k.lower(): v for k, v in reply.headers.items()}, text)
