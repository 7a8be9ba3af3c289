"""The HTTP client of all remote APIs.

Use one `Client` per thread: it keeps its connections open between requests. One deadline covers
the whole exchange, from connect to the last byte, and the body is bounded. Redirects are not
followed, and the environment (proxies, ~/.netrc) is ignored. No error and no log record names a
URL: it may be a secret.
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
from common.errors import limit_reached, naming_limits
from common.version import USER_AGENT

CONNECT_SECONDS = 5.0
_CHUNK_BYTES = 16 * 1024


class NoResponse(Exception):
    """No valid HTTP response arrived; the message is the reason, without the URL."""


@dataclass(frozen=True, slots=True)
class Response:
    """An HTTP response. Names in ``headers`` ignore case; ``complete`` is False if the body was
    cut by the bound, the deadline or the server."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    complete: bool


class Client:
    """Sends one request at a time, only from the thread that created it."""

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
        """Send one request and return its response; ``options`` are those of `requests`.

        Raises NoResponse unless the status line and headers arrive within ``seconds``, LimitReached
        if this process may open no more files or threads.
        """
        expired = threading.Event()
        deadline = threading.Timer(seconds, _expire, (expired, self._sockets))
        deadline.daemon = True
        with naming_limits():
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
                # To the parser, truncated headers look complete.
                if expired.is_set():
                    raise requests.Timeout
                body, complete = _read(response, most_bytes)
            failpoints.reach("answered")
            return Response(
                response.status_code, response.headers, body, complete and not expired.is_set()
            )
        except (OSError, urllib3.exceptions.HTTPError) as error:
            late = expired.is_set() or isinstance(error, requests.Timeout)
            cause = _innermost(error)
            reason = f"no answer within {seconds:g} s" if late else _reason(cause)
            # From None: the messages of requests and urllib3 quote the URL.
            raise limit_reached(cause) or NoResponse(reason) from None
        finally:
            deadline.cancel()

    def close(self) -> None:
        """Close all connections, from any thread; a running request raises NoResponse."""
        _break(self._sockets)
        self._session.close()


def _read(response: requests.Response, most_bytes: int) -> tuple[bytes, bool]:
    body = b""
    # A partial body is enough: the status already has the outcome.
    with suppress(OSError, urllib3.exceptions.HTTPError):
        for chunk in response.iter_content(_CHUNK_BYTES):
            body += chunk
            if len(body) > most_bytes:
                return body[:most_bytes], False
        return body, True
    return body, False


def _innermost(error: BaseException) -> BaseException:
    while inner := error.__cause__ or error.__context__:
        error = inner
    return error


def _reason(cause: BaseException) -> str:
    """The cause, as the system or TLS words it."""
    text = cause.strerror if isinstance(cause, OSError) else None
    return text or type(cause).__name__


# `requests` applies its timeout to each read, so a server that sends single bytes never exceeds
# it. The classes below register the socket of each request, to shut it down at the deadline.


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
        # On a second descriptor: the reading thread still uses the first one.
        with suppress(OSError), socket.socket(fileno=os.dup(connected.fileno())) as transport:
            transport.shutdown(socket.SHUT_RDWR)
