"""HTTP as every client of a remote API speaks it here.

One `Client` per thread: it keeps its connections open between requests. One deadline holds for
the whole exchange, from connect to the last byte, and one bound for the body. No redirect is
followed, and nothing is taken from the environment (proxies, ~/.netrc). No error and no log
record names a URL: it may be a secret.
"""

import os
import socket
import threading
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any
from weakref import WeakSet

import requests
import urllib3
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

from common import failpoints
from common.version import USER_AGENT

CONNECT_SECONDS = 5.0
_CHUNK_BYTES = 16 * 1024


class NoResponse(Exception):
    """Nothing that can be read as an HTTP answer came back; says why, without the URL."""


@dataclass(frozen=True, slots=True)
class Response:
    """What came back. ``headers`` disregard case; ``complete`` is False where the body was cut:
    by the bound, by the deadline or by the other side."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    complete: bool


class Client:
    """Sends requests, one at a time, and only from the thread that made it."""

    def __init__(self) -> None:
        self._sockets = _this_thread.sockets
        self._session = requests.Session()
        self._session.trust_env = False
        self._session.headers["User-Agent"] = USER_AGENT
        for scheme in ("http://", "https://"):
            self._session.mount(scheme, _Adapter())

    def request(
        self, method: str, url: str, *, seconds: float, most_bytes: int, **options: Any
    ) -> Response:
        """Exchange one request for its answer; ``options`` are those of `requests`.

        Raises NoResponse unless a status line and headers came within ``seconds``.
        """
        expired = threading.Event()
        deadline = threading.Timer(seconds, _expire, (expired, self._sockets))
        deadline.daemon = True
        deadline.start()
        failpoints.reach("asked")
        try:
            with self._session.request(
                method,
                url,
                timeout=(min(seconds, CONNECT_SECONDS), seconds),
                stream=True,
                allow_redirects=False,
                **options,
            ) as response:
                # Headers that break off look to the parser like headers that end.
                if expired.is_set():
                    raise requests.Timeout
                body, complete = _read(response, most_bytes)
            failpoints.reach("answered")
            return Response(
                response.status_code, response.headers, body, complete and not expired.is_set()
            )
        except (OSError, urllib3.exceptions.HTTPError) as error:
            late = expired.is_set() or isinstance(error, requests.Timeout)
            reason = f"no answer within {seconds:g} s" if late else _reason(error)
            # From None: the messages of requests and urllib3 quote the URL.
            raise NoResponse(reason) from None
        finally:
            deadline.cancel()

    def close(self) -> None:
        """Close all connections. A request that is under way in the client's thread is broken
        and raises NoResponse."""
        _break(self._sockets)
        self._session.close()


def _read(response: requests.Response, most_bytes: int) -> tuple[bytes, bool]:
    body = b""
    # What has arrived counts: the status already says what became of the request.
    with suppress(OSError, urllib3.exceptions.HTTPError):
        for chunk in response.iter_content(_CHUNK_BYTES):
            body += chunk
            if len(body) > most_bytes:
                return body[:most_bytes], False
        return body, True
    return body, False


def _reason(error: BaseException) -> str:
    """The innermost cause, in the words of the system or of TLS."""
    while inner := error.__cause__ or error.__context__:
        error = inner
    text = error.strerror if isinstance(error, OSError) else None
    return text or type(error).__name__


# The timeouts of `requests` hold for each single read, and a server that sends a byte now and
# then never meets them. What follows finds the socket of a request, to break it in time.


class _ThisThread(threading.local):
    def __init__(self) -> None:
        self.sockets: WeakSet[socket.socket] = WeakSet()


_this_thread = _ThisThread()


class _Connection(HTTPConnection):
    def connect(self) -> None:
        super().connect()
        _this_thread.sockets.add(self.sock)


class _TLSConnection(HTTPSConnection):
    def connect(self) -> None:
        super().connect()
        _this_thread.sockets.add(self.sock)


class _Pool(HTTPConnectionPool):
    ConnectionCls = _Connection


class _TLSPool(HTTPSConnectionPool):
    ConnectionCls = _TLSConnection


class _Adapter(HTTPAdapter):
    def init_poolmanager(self, *arguments: Any, **keywords: Any) -> None:
        super().init_poolmanager(*arguments, **keywords)
        self.poolmanager.pool_classes_by_scheme = {"http": _Pool, "https": _TLSPool}


def _expire(expired: threading.Event, sockets: Iterable[socket.socket]) -> None:
    expired.set()
    _break(sockets)


def _break(sockets: Iterable[socket.socket]) -> None:
    for connected in list(sockets):
        # Through a second descriptor: the thread that is reading must find its own as it was.
        with suppress(OSError), socket.socket(fileno=os.dup(connected.fileno())) as transport:
            transport.shutdown(socket.SHUT_RDWR)
