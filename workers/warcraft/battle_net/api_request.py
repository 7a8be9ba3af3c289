"""One request to Battle.net and its reply, or the error."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from common import metrics
from common.remote import retry_after

if TYPE_CHECKING:
    from common.http import Client

REPLY_SECONDS = 20.0
# The roster of the largest guild, 1,000 members, has half a megabyte.
MOST_BYTES = 16 * 1024 * 1024
# No quota of Battle.net is for longer than an hour.
MOST_RETRY_AFTER = 3600.0

TOO_MANY_REQUESTS = 429


@dataclass(frozen=True, slots=True)
class ApiReply:
    """A complete reply; ``retry_after`` is in seconds, None without such a header."""

    status: int
    retry_after: float | None
    body: bytes

    @property
    def is_retryable(self) -> bool:
        return self.status == TOO_MANY_REQUESTS or self.status >= 500


class RetryableError(Exception):
    """A later attempt may succeed.

    ``retry_after`` is Battle.net's wait in seconds, None without one; ``throttled`` is true for
    a 429.
    """

    def __init__(self, reason: str = "", reply: ApiReply | None = None) -> None:
        super().__init__(f"HTTP {reply.status} {reason}".rstrip() if reply else reason)
        self.retry_after = reply.retry_after if reply else None
        self.throttled = reply is not None and reply.status == TOO_MANY_REQUESTS


def send(
    remote: str,
    http: "Client",
    method: str,
    url: str,
    authorization: str,
    *,
    query: Mapping[str, str] | None = None,
    form: Mapping[str, str] | None = None,
) -> ApiReply:
    """Send one request, without following redirects. Raises RetryableError without a reply.

    ``remote`` is the metrics' label for the other side.
    """
    # Imported here: a worker with nothing to fetch does not load `requests`.
    from common.http import NoResponse

    try:
        with metrics.remote_call("warcraft", remote) as outcome:
            response = http.request(
                method,
                url,
                seconds=REPLY_SECONDS,
                most_bytes=MOST_BYTES,
                params=query,
                data=form,
                headers={"Authorization": authorization, "Accept-Encoding": "gzip"},
            )
            if response.complete:
                outcome(metrics.http_outcome(response.status))
    except NoResponse as error:
        raise RetryableError(str(error)) from error
    if not response.complete:
        raise RetryableError("the reply was cut off")
    header = response.headers.get("Retry-After", "")
    wait = retry_after.seconds(header, datetime.now(UTC), most=MOST_RETRY_AFTER)
    return ApiReply(response.status, wait, response.body)
