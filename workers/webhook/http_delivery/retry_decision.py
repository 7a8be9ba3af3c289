"""What one attempt means for its delivery: success, failed, or a retry at a time."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from http import HTTPStatus

from common.remote import retry_after
from workers.webhook.http_delivery.delivery_client import ReceiverReply

LONGEST_RETRY_AFTER_SECONDS = 24 * 3600.0
# The live pool polls once a minute: it never retries a delivery sooner.
SHORTEST_RETRY_AFTER_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class RetryDecision:
    """A delivery's next state.

    ``status`` is success, failed or retrying; ``attempt_count`` the number to store;
    ``completed`` means that no further attempt follows; ``retry_after`` is set with retrying.
    """

    status: str
    attempt_count: int
    completed: bool
    error: str = ""
    retry_after: timedelta | None = None


def decide(
    reply: ReceiverReply, *, attempt: int, max_attempts: int, now: datetime
) -> RetryDecision:
    """Decide the delivery's next state after attempt number ``attempt``.

    A failure with attempts left becomes ``failed``; webhook-retry then schedules it 2^attempts
    minutes ahead. If the receiver asked for a time, which webhook-retry does not know, the row is
    scheduled here. 410 is final: webhook-retry, ours and the live one, only reads
    ``attempt_count``, so all attempts count as used.
    """
    if reply.is_success:
        return RetryDecision("success", attempt, completed=True)
    error = error_of(reply)
    if reply.status == HTTPStatus.GONE:
        return RetryDecision("failed", max(attempt, max_attempts), completed=True, error=error)
    if attempt >= max_attempts:
        return RetryDecision("failed", attempt, completed=True, error=error)
    wait = asked_wait(reply, now)
    if wait is None:
        return RetryDecision("failed", attempt, completed=False, error=error)
    return RetryDecision("retrying", attempt, False, error, wait)


def asked_wait(reply: ReceiverReply, now: datetime) -> timedelta | None:
    """How long the receiver asks to wait, within our limits; None if it does not."""
    wait = retry_after.seconds(
        reply.retry_after, now, least=SHORTEST_RETRY_AFTER_SECONDS, most=LONGEST_RETRY_AFTER_SECONDS
    )
    return None if wait is None else timedelta(seconds=wait)


def is_away(reply: ReceiverReply) -> bool:
    """Whether the receiver was not reached, or says that it does not work."""
    return not reply.refused and (not reply.status or reply.status >= 500)


def error_of(reply: ReceiverReply) -> str:
    """Why the delivery was not accepted."""
    status = reply.status
    if reply.error:
        return reply.error
    if 300 <= status < 400:
        return f"HTTP {status}: redirects are not followed"
    if status == HTTPStatus.GONE:
        return f"HTTP {status}: the receiver wants no more deliveries"
    return f"HTTP {status}"
