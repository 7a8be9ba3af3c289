"""One attempt to deliver: the delivery, what was sent, and what may be stored of it."""

import json
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from common import metrics
from common.logging.redaction import MASK, cut, redact, tokens
from workers.webhook.http_delivery import signing, target_url
from workers.webhook.http_delivery.delivery_client import (
    MOST_BODY_BYTES,
    DeliveryClient,
    ReceiverReply,
)

# The largest bigint; a counter with this value stays.
MOST_ATTEMPTS = 2**63 - 1

_SECRET_HEADERS = ("signature", "authorization")
_ORIGIN = re.compile(r"\w+://[^/?#@\s]*(?=[/?#]|$)")


@dataclass(frozen=True, slots=True)
class Delivery:
    """A delivery leased until ``lease``, and its webhook's URL, host and secret. It was taken
    ``late`` seconds after its ``next_retry_at``; infinite, if that is."""

    id: UUID
    webhook_id: UUID
    event_type: str
    event_payload: str = field(repr=False)
    attempt_count: int
    lease: datetime
    host: str
    url: str = field(repr=False)
    secret: str = field(repr=False)
    late: float = 0.0

    @property
    def attempt(self) -> int:
        """The number of the attempt for which it was taken."""
        return min(self.attempt_count + 1, MOST_ATTEMPTS)

    @property
    def secrets(self) -> tuple[str, ...]:
        """What no text may hold: the secret, the password of the URL, and the parts of the URL
        after its host that look like a token. They are not registered with `redact`, because there
        are too many."""
        key = self.secret.removeprefix("whsec_")
        return (
            self.secret,
            key,
            *target_url.login_secrets(self.url),
            *tokens(_ORIGIN.sub("", target_url.without_login(self.url), count=1)),
        )


@dataclass(frozen=True, slots=True)
class Attempt:
    """What was sent for a delivery, and its reply."""

    delivery: Delivery
    headers: Mapping[str, str] = field(repr=False)
    reply: ReceiverReply = field(repr=False)

    def columns(self) -> dict[str, object]:
        """The values for webhook_delivery_attempts, without secrets.

        Signatures are hidden too, also in the reply: with a signature and its body, a reader of
        the table could replay the delivery or guess a weak secret. So is a login.
        """
        reply, delivery = self.reply, self.delivery
        secret = {name: self.headers[name] for name in self.headers if _is_secret(name)}
        values = [value.removeprefix("v1,").removeprefix("Basic ") for value in secret.values()]
        hidden = (*delivery.secrets, *values)
        return {
            "attempt": delivery.attempt,
            "request_url": hide(target_url.without_login(delivery.url), *hidden),
            "request_headers": json.dumps({**self.headers, **dict.fromkeys(secret, MASK)}),
            "request_body": delivery.event_payload,
            "response_status": reply.status,
            "response_headers": hide(json.dumps(dict(reply.headers)), *hidden),
            "response_body": hide(_first(reply.body, *hidden), *hidden),
            "duration_ms": round(reply.seconds * 1000),
        }


def make(delivery: Delivery, client: DeliveryClient) -> Attempt:
    """Send a delivery once."""
    body = delivery.event_payload.encode()
    headers = signing.headers(
        delivery_id=delivery.id,
        event_type=delivery.event_type,
        attempt=delivery.attempt,
        timestamp=int(time.time()),
        body=body,
        secret=delivery.secret,
    )
    if authorization := target_url.authorization(delivery.url):
        headers["Authorization"] = authorization
    reply = client.post(delivery.url, headers, body)
    metrics.count_call("webhook", "webhook", _outcome(reply), reply.seconds)
    return Attempt(delivery, headers, reply)


def hide(text: str, *secrets: str) -> str:
    """The text as it may be stored: without NUL, these secrets and text that looks like one."""
    return redact(text, *secrets).replace("\0", "\N{REPLACEMENT CHARACTER}")


def _first(body: str, *secrets: str) -> str:
    """The part of a body that is stored; a secret at the cut is removed completely."""
    most = len(body.encode()[:MOST_BODY_BYTES].decode(errors="ignore"))
    return cut(body, most, *secrets)


def _outcome(reply: ReceiverReply) -> str:
    if reply.refused:
        return "refused"
    return metrics.http_outcome(reply.status) if reply.status else "no_answer"


def _is_secret(header: str) -> bool:
    return any(word in header.lower() for word in _SECRET_HEADERS)
