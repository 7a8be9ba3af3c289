"""The URL of a Discord webhook, which is a secret: it is enough to post."""

import re
from dataclasses import dataclass, field
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

import requests

from common.logging.redaction import redact, tokens
from common.remote.http.name_lookup import literal

_PATH = re.compile(r"/api/(?:v\d+/)?(?P<webhook>webhooks/[^/]+/(?P<token>[^/]+))/?")
# Discord's tokens have 68 characters; hiding a much shorter one would hide parts of common words.
_SHORTEST_TOKEN = 8


class UnusableUrl(Exception):
    """A channel's URL is not allowed; the message has the reason, without the URL."""


@dataclass(frozen=True, slots=True)
class Webhook:
    """Where to post; both are secret."""

    url: str = field(repr=False)
    token: str = field(repr=False)

    def hide(self, text: str) -> str:
        """The text as it may be stored: without the secrets of this webhook."""
        token = [self.token] if len(self.token) >= _SHORTEST_TOKEN else []
        hidden = redact(text, *token, *tokens(urlsplit(self.url).query))
        # PostgreSQL's text holds neither NUL nor lone surrogates, and JSON can contain both.
        return hidden.replace("\x00", "").encode("utf-8", "replace").decode()


def webhook(url: str, *, allow_loopback_http: bool) -> Webhook:
    """Turn a channel's URL into the one to post to: API version 10, ``wait=true``.

    Discord's UI shows URLs without a version, which means version 6 and other units of time.
    Query parameters such as ``thread_id`` stay. Any host is allowed, as in the live service
    (relays exist), if the path is that of a Discord webhook. Raises UnusableUrl.
    """
    try:
        parts = urlsplit(url.strip())
        host, _ = parts.hostname or "", parts.port  # a port that is none raises ValueError
    except ValueError:
        raise UnusableUrl("the webhook URL is not a URL") from None
    loopback = allow_loopback_http and parts.scheme == "http" and _is_loopback(host)
    if parts.scheme != "https" and not loopback:
        raise UnusableUrl("the webhook URL is not https")
    path = _PATH.fullmatch(parts.path)
    if not host or "@" in parts.netloc or not path:
        raise UnusableUrl("the webhook URL is not that of a Discord webhook")
    query = [pair for pair in parse_qsl(parts.query) if pair[0] != "wait"]
    target = f"/api/v10/{path['webhook']}"
    target_url = urlunsplit(
        (parts.scheme, parts.netloc, target, urlencode([*query, ("wait", "true")]), "")
    )
    if not _is_sendable(target_url):
        raise UnusableUrl("the webhook URL has a host that is none")
    return Webhook(target_url, path["token"])


def _is_sendable(url: str) -> bool:
    """False if no request to it can be written, which would look as if Discord were away."""
    try:
        requests.Request("POST", url).prepare()
    except requests.RequestException:
        return False
    return True


def _is_loopback(host: str) -> bool:
    address = literal(host)
    return host == "localhost" or (address is not None and address.is_loopback)
