"""One attempt to deliver: the row that was taken, what was sent, and what may be kept of it."""

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from urllib.parse import quote
from uuid import UUID

from common.redact import MASK, redact
from workers.webhook import signing
from workers.webhook.delivery_client import DeliveryClient, Reply

# The column's width.
_MOST_URL_CHARACTERS = 500
# Hiding a shorter one would spoil every text and, by its gaps, show what it is.
_SHORTEST_SECRET = 4


@dataclass(frozen=True, slots=True)
class Delivery:
    """A row that was taken until ``lease``, and its webhook's URL, host and secret."""

    id: UUID
    webhook_id: UUID
    event_type: str
    event_payload: str = field(repr=False)
    attempt_count: int
    lease: datetime
    host: str
    url: str = field(repr=False)
    secret: str = field(repr=False)

    @property
    def attempt(self) -> int:
        """The number of the attempt for which it was taken."""
        return self.attempt_count + 1


@dataclass(frozen=True, slots=True)
class Attempt:
    """What was sent for a delivery, and what came back."""

    delivery: Delivery
    headers: Mapping[str, str] = field(repr=False)
    reply: Reply = field(repr=False)

    def columns(self) -> dict[str, object]:
        """The columns of webhook_delivery_attempts that say what happened, without secrets.

        A signature is no secret, but with the body beside it a reader of the table could send
        that delivery again, or try out weak secrets. So neither is stored, not even where the
        receiver sends it back.
        """
        reply, delivery = self.reply, self.delivery
        signatures = {name: self.headers[name] for name in self.headers if _signs(name)}
        hidden = (delivery.secret, *signatures.values())
        return {
            "attempt": delivery.attempt,
            "request_url": hide(delivery.url, *hidden)[:_MOST_URL_CHARACTERS],
            "request_headers": json.dumps({**self.headers, **dict.fromkeys(signatures, MASK)}),
            "request_body": delivery.event_payload,
            "response_status": reply.status,
            "response_headers": hide(json.dumps(dict(reply.headers)), *hidden),
            "response_body": hide(reply.body, *hidden),
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
    return Attempt(delivery, headers, client.post(delivery.url, headers, body))


def hide(text: str, *secrets: str) -> str:
    """Return the text as it may be stored: without NUL, these secrets and what looks like one.

    A webhook's secret is not registered with `redact`: there are too many of them.
    """
    for secret in secrets:
        if len(secret) >= _SHORTEST_SECRET:
            for spelling in (secret, json.dumps(secret)[1:-1], quote(secret, safe="")):
                text = text.replace(spelling, MASK)
    return redact(text).replace("\0", "\N{REPLACEMENT CHARACTER}")


def _signs(header: str) -> bool:
    return "signature" in header.lower()
