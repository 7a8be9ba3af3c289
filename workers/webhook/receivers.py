"""How deliveries reach their receivers: the settings, the client that follows them, and the
webhooks to which it sends nothing."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any
from uuid import UUID

from common import config
from common.config import Settings, Variable
from common.database.session import Session
from common.version import VERSION
from workers.webhook.due_deliveries import IS_ACTIVE

if TYPE_CHECKING:
    from workers.webhook.http_delivery.delivery_client import DeliveryClient


def _header_value(text: str) -> str:
    if not (text.isascii() and text.isprintable() and text == text.strip()):
        raise ValueError("not ASCII, or with a control character or blanks around it")
    return text


_URLS = f"SELECT id, url FROM webhook_webhooks AS webhook WHERE {IS_ACTIVE} ORDER BY id"
_MOST_NAMED = 3

TIMEOUT = config.duration(
    "WEBHOOK_DELIVERY_TIMEOUT",
    "30s",
    "the longest that one attempt to deliver may take, from name look-up to the last byte",
    minimum="1s",
    maximum="5m",
    bare="s",
)
ALLOW_PRIVATE_CIDRS = config.networks(
    "WEBHOOK_ALLOW_PRIVATE_CIDRS",
    "",
    "networks that webhooks may lead to although they are not public",
)
USER_AGENT = Variable(
    "WEBHOOK_USER_AGENT",
    _header_value,
    "one line of ASCII text",
    f"ToxicToastGo-Webhook/1.0 toast-workers/{VERSION}",
    "how deliveries name their sender; receivers may allow the live service's name only",
)
PROXY = config.proxy(
    "WEBHOOK_PROXY",
    "HTTP proxy for deliveries, as http://[user:password@]host:port; the address guard cannot see"
    " through it, so it must refuse private networks itself",
    caution="the proxy looks up the names of webhooks, and the address guard checks only addresses"
    " that are written in URLs; let the proxy refuse private networks",
)
SETTINGS: tuple[Variable[Any], ...] = (
    TIMEOUT,
    ALLOW_PRIVATE_CIDRS,
    USER_AGENT,
    PROXY,
    config.OUTBOUND_CA_FILE,
)


def client(settings: Settings) -> "DeliveryClient":
    """The client of a pass."""
    # Imported here: while this scheduler is off, as by default, `requests` is not loaded.
    from workers.webhook.http_delivery.delivery_client import DeliveryClient
    from workers.webhook.http_delivery.ssrf_guard import SsrfGuard

    return DeliveryClient(
        SsrfGuard(settings[ALLOW_PRIVATE_CIDRS]),
        settings[TIMEOUT].total_seconds(),
        config.egress(settings, PROXY),
        settings[USER_AGENT],
    )


def refused_urls(connection: Session, settings: Settings) -> Iterator[tuple[str, str]]:
    """The active webhooks whose URL the client refuses as it is written, and what to do, by
    reason."""
    from workers.webhook.http_delivery.target_url import TargetUrlRefused, parse

    guard = client(settings).guard
    refused: dict[str, list[UUID]] = {}
    for row in connection.execute(_URLS):
        try:
            guard.check_literal(parse(row["url"] or "").host)
        except TargetUrlRefused as refusal:
            refused.setdefault(str(refusal), []).append(row["id"])
    for reason, ids in refused.items():
        named = ", ".join(map(str, ids[:_MOST_NAMED])) + (", …" if len(ids) > _MOST_NAMED else "")
        yield (
            f"nothing is sent to {len(ids):,} of the active webhooks, as {reason}: {named}",
            "correct their url in webhook_webhooks; in a user or password @ is written %40",
        )
