"""The headers of a webhook delivery: the live pool's, and those of Standard Webhooks.

The live pool signs only the body, with the webhook's secret as it is stored. Standard Webhooks
(https://www.standardwebhooks.com, 1.0.0) signs id, time and body, which prevents replays of a
recorded delivery.
"""

import base64
import binascii
import hashlib
import hmac
from uuid import UUID

_SECRET_PREFIX = "whsec_"


def headers(
    *, delivery_id: UUID, event_type: str, attempt: int, timestamp: int, body: bytes, secret: str
) -> dict[str, str]:
    """The headers of one attempt, its number counted from 1, at ``timestamp`` in Unix seconds.

    ``webhook-id`` is the delivery's id, the same for every attempt, so that a receiver can drop
    duplicates.
    """
    signature = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    signed = b".".join((str(delivery_id).encode(), str(timestamp).encode(), body))
    standard = hmac.new(_standard_key(secret), signed, hashlib.sha256).digest()
    return {
        "Content-Type": "application/json",
        "X-Webhook-Event": event_type,
        "X-Webhook-Delivery": str(delivery_id),
        "X-Webhook-Attempt": str(attempt),
        "X-Webhook-Timestamp": str(timestamp),
        "X-Webhook-Signature": signature,
        "X-Webhook-Signature-256": f"sha256={signature}",
        "webhook-id": str(delivery_id),
        "webhook-timestamp": str(timestamp),
        "webhook-signature": f"v1,{base64.b64encode(standard).decode()}",
    }


def _standard_key(secret: str) -> bytes:
    """The key of Standard Webhooks: base64 after ``whsec_``, or else the secret's own bytes.

    In the standard every secret is base64 after this prefix. The live service accepts any text;
    without the prefix it cannot be known to be base64, as half of all words could be. Text after
    the prefix that is not base64 is also taken as bytes.
    """
    if secret.startswith(_SECRET_PREFIX):
        encoded = secret.removeprefix(_SECRET_PREFIX).rstrip("=")
        padding = "=" * (-len(encoded) % 4)
        try:
            key = base64.b64decode(encoded + padding, validate=True)
        except (binascii.Error, ValueError):
            key = b""
        if key:
            return key
    return secret.encode()
