"""The headers of a delivery are what the live pool's receivers and Standard Webhooks' check."""

import base64
import hashlib
import hmac
from typing import Any
from uuid import UUID

import pytest

from devservers.standins.webhook_answers import is_genuine
from workers.webhook.http_delivery import signing

DELIVERY = UUID("0b5d8a52-8f5e-4f0e-9f0b-6f2f2d8f1a11")
BODY = '{"größe": 2432232314}'.encode()


def headers(**changes: Any) -> dict[str, str]:
    facts: dict[str, Any] = {
        "delivery_id": DELIVERY,
        "event_type": "link.expired",
        "attempt": 2,
        "timestamp": 1_614_265_330,
        "body": BODY,
        "secret": "a secret of any text",
    }
    return signing.headers(**{**facts, **changes})


def test_the_headers_are_the_live_pools_and_standard_webhooks() -> None:
    signature = hmac.new(b"a secret of any text", BODY, hashlib.sha256)
    signed = b"%s.1614265330.%s" % (str(DELIVERY).encode(), BODY)
    standard = hmac.digest(b"a secret of any text", signed, "sha256")

    assert headers() == {
        "Content-Type": "application/json",
        "X-Webhook-Event": "link.expired",
        "X-Webhook-Delivery": str(DELIVERY),
        "X-Webhook-Attempt": "2",
        "X-Webhook-Timestamp": "1614265330",
        "X-Webhook-Signature": signature.hexdigest(),
        "X-Webhook-Signature-256": f"sha256={signature.hexdigest()}",
        "webhook-id": str(DELIVERY),
        "webhook-timestamp": "1614265330",
        "webhook-signature": f"v1,{base64.b64encode(standard).decode()}",
    }


def test_the_standard_signature_is_that_of_the_standards_own_libraries() -> None:
    # The example that the libraries of Standard Webhooks are tested with; its id is no UUID.
    signed: Any = "msg_p5jXN8AQM9LWM0D4loKWxJek"

    signature = headers(
        delivery_id=signed,
        body=b'{"test": 2432232314}',
        secret="whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
    )["webhook-signature"]

    assert signature == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


@pytest.mark.parametrize(
    ("secret", "key"),
    [
        ("whsec_AAEC/wM=", b"\x00\x01\x02\xff\x03"),
        ("whsec_AAEC/wM", b"\x00\x01\x02\xff\x03"),
        # Without the prefix it is not base64.
        ("AAEC/wM=", b"AAEC/wM="),
        ("WHSEC_AAEC", b"WHSEC_AAEC"),
        # No base64, or none of it.
        ("whsec_", b"whsec_"),
        ("whsec_====", b"whsec_===="),
        ("whsec_not base64!", b"whsec_not base64!"),
        ("whsec_größe", "whsec_größe".encode()),
        ("whsec_AAECA", b"whsec_AAECA"),
        ("größe", "größe".encode()),
        ("", b""),
    ],
)
def test_only_the_standard_decodes_base64_and_only_behind_the_prefix(
    secret: str, key: bytes
) -> None:
    signed = b"%s.1614265330.%s" % (str(DELIVERY).encode(), BODY)
    standard = base64.b64encode(hmac.digest(key, signed, "sha256")).decode()
    live = hmac.new(secret.encode(), BODY, hashlib.sha256).hexdigest()

    sent = headers(secret=secret)

    assert sent["webhook-signature"] == f"v1,{standard}"
    assert sent["X-Webhook-Signature"] == live
    assert sent["X-Webhook-Signature-256"] == f"sha256={live}"


def test_a_careful_receiver_refuses_what_was_recorded_earlier(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sent = {name.lower(): value for name, value in headers().items()}
    monkeypatch.setattr("time.time", lambda: 1_614_265_330 + 299)
    assert is_genuine(sent, BODY, "a secret of any text")
    monkeypatch.setattr("time.time", lambda: 1_614_265_330 + 301)
    assert not is_genuine(sent, BODY, "a secret of any text")
