"""One POST of a webhook: to a checked address, on a connection of its own."""

import time
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, field, replace

from common.remote.http.client import Client, NoResponse, Response, Unsendable
from common.remote.http.egress import Egress
from common.version import USER_AGENT
from workers.webhook.http_delivery.ssrf_guard import SsrfGuard
from workers.webhook.http_delivery.target_url import TargetUrl, TargetUrlRefused, parse

MOST_BODY_BYTES = 10 * 1024
# Read beyond the stored part, so that a secret at the cut is complete and can be hidden: 500
# characters, each escaped as up to six.
_SPARE_BYTES = 3 * 1024
MOST_HEADER_CHARACTERS = 10 * 1024


@dataclass(frozen=True, slots=True)
class ReceiverReply:
    """The receiver's reply: ``status`` 0 and an ``error`` without one.

    ``body`` is the first 13 KB; ``retry_after`` the header's text; ``refused`` means that nothing
    was sent because the URL or its address is not allowed, or a header cannot be written.
    """

    status: int = 0
    headers: Mapping[str, str] = field(default_factory=dict)
    body: str = ""
    retry_after: str = ""
    error: str = ""
    refused: bool = False
    seconds: float = 0.0

    @property
    def is_success(self) -> bool:
        """Whether the receiver has accepted the delivery."""
        return 200 <= self.status < 300


@dataclass(frozen=True, slots=True)
class DeliveryClient:
    """Sends deliveries, each within ``timeout`` seconds; safe to share between threads.

    Where ``egress`` has a proxy, that looks up the names: the guard sees addresses in URLs only.
    """

    guard: SsrfGuard
    timeout: float
    egress: Egress = field(default_factory=Egress)
    user_agent: str = USER_AGENT

    def post(self, url: str, headers: Mapping[str, str], body: bytes) -> ReceiverReply:
        """Send one request; remote failures are in the reply, not raised.

        Raises LimitReached if this process may open no more files or threads.
        """
        started = time.monotonic()
        try:
            reply = self._send(parse(url), headers, body)
        except TargetUrlRefused as refusal:
            reply = ReceiverReply(error=f"refused: {refusal}", refused=True)
        except Unsendable as error:
            reply = ReceiverReply(error=str(error), refused=True)
        except NoResponse as error:
            reply = ReceiverReply(error=str(error))
        return replace(reply, seconds=time.monotonic() - started)

    def _send(
        self, destination: TargetUrl, headers: Mapping[str, str], body: bytes
    ) -> ReceiverReply:
        if self.egress.proxy:
            self.guard.check_literal(destination.host)
        # Blanks around a value are no part of it, but `requests` refuses them.
        sent = {name: value.strip(" \t") for name, value in headers.items()}
        with closing(Client(self.egress, find=self.guard.addresses, keeps=False)) as client:
            response = client.request(
                "POST",
                destination.url,
                exact_url=True,
                seconds=self.timeout,
                most_bytes=MOST_BODY_BYTES + _SPARE_BYTES,
                headers={"User-Agent": self.user_agent, **sent},
                data=body,
            )
        return _reply(response)


def _reply(response: Response) -> ReceiverReply:
    return ReceiverReply(
        status=response.status,
        headers=_first_headers(response.headers),
        body=_body(response),
        retry_after=response.headers.get("Retry-After", ""),
    )


def _first_headers(headers: Mapping[str, str]) -> dict[str, str]:
    kept: dict[str, str] = {}
    room = MOST_HEADER_CHARACTERS
    for name, value in headers.items():
        room -= len(name) + len(value)
        if room < 0:
            break
        kept[name] = value
    return kept


def _body(response: Response) -> str:
    """The beginning of the body, as far as it was received: only the status decides."""
    encoding = response.headers.get("Content-Encoding", "identity")
    if encoding.lower() != "identity":
        return f"(not decoded: {encoding[:50]})"
    return response.body.decode(errors="replace")
