"""One request to Battle.net: the body of its reply, or the error."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from common import metrics
from common.remote import retry_after
from workers.warcraft.battle_net.errors import (
    BattleNetError,
    InvalidReply,
    NotFound,
    Refused,
    Unavailable,
)

if TYPE_CHECKING:
    from common.remote.http.client import Client, Response

REPLY_SECONDS = 20.0
# The roster of the largest guild, 1,000 members, has half a megabyte.
MOST_BYTES = 16 * 1024 * 1024
# No quota of Battle.net is for longer than an hour.
MOST_RETRY_AFTER = 3600.0

TOO_MANY_REQUESTS = 429


def request(
    remote: str,
    http: "Client",
    method: str,
    url: str,
    authorization: str,
    *,
    name: str,
    **options: Any,
) -> bytes:
    """Send one request, without following redirects; return the body of a reply with status 200.

    ``remote`` is the metrics' label for the other side, ``name`` that of the reply in messages;
    ``options`` are those of `requests`. Raises Unavailable, Refused, NotFound or InvalidReply.
    """
    # Imported here: a worker with nothing to fetch does not load `requests`.
    from common.remote.http.no_response import NoResponse

    try:
        with metrics.remote_call("warcraft", remote) as outcome:
            reply = http.request(
                method,
                url,
                seconds=REPLY_SECONDS,
                most_bytes=MOST_BYTES,
                headers={"Authorization": authorization, "Accept-Encoding": "gzip"},
                **options,
            )
            if reply.complete:
                outcome(metrics.http_outcome(reply.status))
    except NoResponse as error:
        raise Unavailable(f"{name}: {error}") from error
    if not reply.complete:
        raise Unavailable(f"{name}: the reply was cut off")
    if reply.status != 200:
        raise _error(reply, f"{name}: HTTP {reply.status}")
    return reply.body


def _error(reply: "Response", text: str) -> BattleNetError:
    if reply.status == TOO_MANY_REQUESTS or reply.status >= 500:
        header = reply.headers.get("Retry-After", "")
        wait = retry_after.seconds(header, datetime.now(UTC), most=MOST_RETRY_AFTER)
        return Unavailable(text, wait, throttled=reply.status == TOO_MANY_REQUESTS)
    return {401: Refused, 404: NotFound}.get(reply.status, InvalidReply)(text)
