"""The adapter of `requests` that carries requests over streams of its own."""

import http.client
import io
import threading
from http import HTTPStatus
from typing import Any

import requests
from requests.adapters import BaseAdapter

from common.remote.http import connecting, reply_body, reply_head
from common.remote.http.connecting import FindAddresses
from common.remote.http.deadline import Deadline
from common.remote.http.egress import Egress
from common.remote.http.origin import Origin, origin_of
from common.remote.http.reply_head import Head
from common.remote.http.stream import Stream


class Body(io.BytesIO):
    """A reply's body; ``complete`` is False if there was more of it."""

    def __init__(self, content: bytes, complete: bool) -> None:
        super().__init__(content)
        self.complete = complete


class Adapter(BaseAdapter):
    """Sends one request at a time: until ``deadline``, reading ``most_bytes`` of the reply.

    With ``keeps`` it keeps a stream to each origin for the next request there.
    """

    def __init__(self, egress: Egress, find: FindAddresses, *, keeps: bool) -> None:
        super().__init__()
        self._egress, self._find, self._keeps = egress, find, keeps
        self._idle: dict[Origin, Stream] = {}
        self._current: Stream | None = None
        self._lock = threading.Lock()
        self._is_closed = False
        self.deadline, self.most_bytes = Deadline(0), 0

    def send(self, request: requests.PreparedRequest, *_: Any, **__: Any) -> requests.Response:
        """Raises OSError, NoResponse or http.client.BadStatusLine if no status line comes."""
        origin = origin_of(request.url or "")
        message = self._message(request, origin)
        stream = self._open(origin)
        is_reusable = False
        try:
            sent, head = self._exchange(stream, message)
            self._require_of_origin(origin, head)
            content, complete = reply_body.read(stream, head, self.most_bytes)
            is_reusable = sent and complete and self._keeps and _is_persistent(head)
        finally:
            self._done(origin, stream, is_reusable)
        return _response(request, head, Body(content, complete))

    def _require_of_origin(self, origin: Origin, head: Head) -> None:
        """Raise NoResponse for what the proxy says itself; through a tunnel, nothing is."""
        proxy = self._egress.proxy if origin.scheme == "http" else None
        if proxy and head.status == HTTPStatus.PROXY_AUTHENTICATION_REQUIRED:
            raise connecting.refusal(proxy, head.status)

    def close(self) -> None:
        """Close all streams, from any thread; a running request gets no more data."""
        with self._lock:
            self._is_closed = True
            while self._idle:
                self._idle.popitem()[1].close()
            if self._current:
                self._current.cut()

    def _open(self, origin: Origin) -> Stream:
        with self._lock:
            stream = self._idle.pop(origin, None)
        if stream and not stream.is_quiet:
            stream.close()
            stream = None
        if not stream:
            stream = connecting.open_stream(origin, self._egress, self._find, self.deadline)
        stream.deadline = self.deadline
        with self._lock:
            self._current = stream
            if self._is_closed:
                stream.cut()
        return stream

    def _done(self, origin: Origin, stream: Stream, is_reusable: bool) -> None:
        with self._lock:
            self._current = None
            if is_reusable and not self._is_closed:
                self._idle[origin] = stream
                return
        stream.close()

    def _exchange(self, stream: Stream, message: bytes) -> tuple[bool, Head]:
        """Whether all was sent, and the head of the reply, which may come without it."""
        try:
            sent = stream.send(message)
        except OSError as unsent:
            try:
                return False, reply_head.read(stream)
            except (OSError, http.client.HTTPException):
                raise unsent from None
        return sent, reply_head.read(stream)

    def _message(self, request: requests.PreparedRequest, origin: Origin) -> bytes:
        """The bytes of the request; a proxy gets the whole URL of what it forwards."""
        url, proxy = (request.url or "").partition("#")[0], self._egress.proxy
        target = f"/{url.partition('://')[2].partition('/')[2]}"
        headers = {"Host": origin.host_header, **request.headers}
        if not self._keeps:
            headers["Connection"] = "close"
        if proxy and origin.scheme == "http":
            target = f"http://{origin.host_header}{target}"
            if proxy.authorization:
                headers["Proxy-Authorization"] = proxy.authorization
        lines = [f"{request.method} {target} HTTP/1.1"]
        lines += (f"{name}: {value}" for name, value in headers.items())
        body = request.body or b""
        head = "\r\n".join((*lines, "", "")).encode("latin-1")
        return head + (body.encode() if isinstance(body, str) else body)


def _is_persistent(head: Head) -> bool:
    closes = "close" in head.headers.get("Connection", "").lower()
    return head.minor_version >= 1 and not closes and reply_body.is_framed(head)


def _response(request: requests.PreparedRequest, head: Head, body: Body) -> requests.Response:
    response = requests.Response()
    response.status_code, response.headers = head.status, head.headers
    response.request, response.url, response.raw = request, request.url or "", body
    return response
