"""What one attempt means for its delivery: done, done for, or to be tried again, and when."""

import email.utils
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from http import HTTPStatus

from workers.webhook.http_delivery.delivery_client import ReceiverReply

LONGEST_RETRY_AFTER = timedelta(hours=24)
# The live pool polls once a minute: no delivery was ever tried again sooner.
SHORTEST_RETRY_AFTER = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class RetryDecision:
    """A delivery's next state.

    ``status`` is success, failed or retrying; ``attempt_count`` the number to store;
    ``completed`` says that no further attempt follows; ``retry_after`` is set with retrying.
    """

    status: str
    attempt_count: int
    completed: bool
    error: str = ""
    retry_after: timedelta | None = None


def judge(reply: ReceiverReply, *, attempt: int, max_attempts: int, now: datetime) -> RetryDecision:
    """Say what attempt number ``attempt`` has come to.

    A failure with attempts left is left ``failed``, which webhook-retry schedules 2^attempts
    minutes ahead. It knows nothing of a time that the receiver asked for, so where there is
    one the row is scheduled here instead. 410 is final: webhook-retry, ours as well as the live
    one, goes by ``attempt_count`` alone, so all attempts count as used up.
    """
    if reply.is_success:
        return RetryDecision("success", attempt, completed=True)
    error = reply.error or _status_error(reply.status)
    if reply.status == HTTPStatus.GONE:
        return RetryDecision("failed", max(attempt, max_attempts), completed=True, error=error)
    if attempt >= max_attempts:
        return RetryDecision("failed", attempt, completed=True, error=error)
    wait = retry_after(reply.retry_after, now)
    return RetryDecision("retrying" if wait else "failed", attempt, False, error, wait)


def retry_after(header: str, now: datetime) -> timedelta | None:
    """The time that a Retry-After header asks for, from a minute to a day; None without one.

    The header holds seconds or a date (RFC 9110, 10.2.3); anything else is ignored.
    """
    header = header.strip()
    if re.fullmatch(r"[0-9]{1,4000}", header):
        wait = timedelta(seconds=min(int(header), LONGEST_RETRY_AFTER.total_seconds()))
    else:
        try:
            date = email.utils.parsedate_to_datetime(header)
        except (ValueError, OverflowError):
            return None
        wait = (date if date.tzinfo else date.replace(tzinfo=UTC)) - now
    return min(max(wait, SHORTEST_RETRY_AFTER), LONGEST_RETRY_AFTER)


def _status_error(status: int) -> str:
    if 300 <= status < 400:
        return f"HTTP {status}: redirects are not followed"
    if status == HTTPStatus.GONE:
        return f"HTTP {status}: the receiver wants no more deliveries"
    return f"HTTP {status}"
