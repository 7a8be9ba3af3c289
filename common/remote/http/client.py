"""The client: one request, one answer, within a time and a number of bytes.

Use one `Client` per thread: it keeps its connections open between requests. Redirects are not
followed, cookies not kept, and the environment (proxies, ~/.netrc) is ignored. No error names a
URL: it may be a secret.
"""

import http.client
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import requests

from common import failpoints
from common.errors import limit_reached
from common.remote.http import name_lookup
from common.remote.http.adapter import Adapter, Body
from common.remote.http.connecting import FindAddresses
from common.remote.http.deadline import Deadline
from common.remote.http.egress import Egress
from common.remote.http.no_response import NoResponse, Unsendable, failure
from common.version import USER_AGENT

__all__ = ["Client", "NoResponse", "Response", "Unsendable"]


@dataclass(frozen=True, slots=True)
class Response:
    """An HTTP response. Names in ``headers`` ignore case; ``complete`` is False if headers or body
    were cut by the bound, the deadline or the server, or were not as HTTP has them."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    complete: bool


class _Session(requests.Session):
    def get_redirect_target(self, resp: requests.Response) -> None:
        """None: `requests` would prepare the next request although it is not to be sent."""


class Client:
    """Sends one request at a time, only from the thread that created it.

    ``find`` gives the addresses that a host's name leads to; it is not asked where ``egress`` has a
    proxy. Without ``keeps`` each request has a connection of its own.
    """

    def __init__(
        self,
        egress: Egress | None = None,
        *,
        find: FindAddresses = name_lookup.addresses,
        keeps: bool = True,
    ) -> None:
        self._adapter = Adapter(egress or Egress(), find, keeps=keeps)
        self._session = _Session()
        self._session.trust_env = False
        self._session.headers.update({"User-Agent": USER_AGENT, "Accept-Encoding": "identity"})
        for scheme in ("http://", "https://"):
            self._session.mount(scheme, self._adapter)

    def request(
        self,
        method: str,
        url: str,
        *,
        seconds: float,
        most_bytes: int,
        exact_url: bool = False,
        **options: Any,
    ) -> Response:
        """Send one request and return its response; ``options`` are those of `requests`.

        With ``exact_url`` the path and query go out as they are written. An answer counts from its
        status line on, and also if it comes before all was sent. Raises NoResponse if none comes
        within ``seconds``, and its kind Unsendable if the URL or a header cannot be written;
        LimitReached if this process may open no more files or threads; and what ``find`` raises.
        """
        self._adapter.deadline, self._adapter.most_bytes = Deadline(seconds), most_bytes
        failpoints.reach("asked")
        try:
            prepared = self._session.prepare_request(requests.Request(method, url, **options))
            if exact_url:
                prepared.url = url
            # Streamed: otherwise `requests` copies the body, which the adapter has read.
            response = self._session.send(prepared, stream=True, allow_redirects=False)
        except (OSError, UnicodeError, http.client.HTTPException, name_lookup.NameUnknown) as error:
            # From None: the messages of requests quote the URL.
            raise limit_reached(error) or failure(error, seconds) from None
        failpoints.reach("answered")
        body = response.raw
        assert isinstance(body, Body)
        return Response(response.status_code, response.headers, body.getvalue(), body.complete)

    def close(self) -> None:
        """Close all connections, from any thread; a running request raises NoResponse."""
        self._session.close()
