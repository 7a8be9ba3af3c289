"""What notification-retry writes: attempts, and the rate limits of channels."""

from dataclasses import asdict
from typing import Any
from uuid import UUID

import psycopg
from psycopg.rows import DictRow

from common.database.error_classification import contended, hiding, reason
from common.database.row_guard import RowGuard
from common.logging import logs
from common.logging.redaction import tokens
from common.scheduling import PassResult
from workers.notification import unsent_notifications
from workers.notification.discord.rate_limits import ChannelLimits
from workers.notification.discord.reply import SendResult
from workers.notification.due_notifications import ALL_CHANNELS, Channel, Quiet
from workers.notification.retry_session import RetrySession

_log = logs.logger(__name__)

_RECORD_TRIES = 3

# The limits of one channel after its latest reply.
_STORE_LIMITS = """
INSERT INTO toast_discord_channels (channel_id, requests, quiet_until, gone_row, gone_reason)
VALUES (%(channel)s, %(requests)s, %(quiet_until)s, %(gone_row)s, %(gone_reason)s)
ON CONFLICT (channel_id) DO UPDATE
SET requests = excluded.requests, quiet_until = excluded.quiet_until,
    gone_row = excluded.gone_row, gone_reason = excluded.gone_reason"""


def _plus(counter: str, added: str) -> str:
    """SQL for the sum, at most the largest bigint."""
    return f"least(coalesce({counter}, 0), {2**63 - 1} - {added}) + {added}"


# One attempt: its row, the notification's outcome and the channel's counters, unless another
# attempt was recorded meanwhile. After a permanent failure all attempts count as used.
_RECORD = f"""
WITH recorded AS (
    UPDATE notification_notifications
    SET status = CASE WHEN %(delivered)s THEN 'success' ELSE 'failed' END,
        attempt_count = CASE WHEN %(permanent)s
            THEN greatest(%(attempt_number)s, %(max_retries)s) ELSE %(attempt_number)s END,
        discord_message_id =
            CASE WHEN %(delivered)s THEN %(message_id)s ELSE discord_message_id END,
        sent_at = CASE WHEN %(delivered)s THEN %(at)s ELSE sent_at END,
        last_error = %(error)s, updated_at = %(at)s
    WHERE id = %(id)s AND coalesce(attempt_count, 0) = %(attempt_count)s
    RETURNING id, channel_id, status, coalesce(attempt_count, 0) AS attempt_count
), attempt AS (
    INSERT INTO notification_attempts (notification_id, attempt_number, response_status,
        response_body, discord_message_id, success, error, duration_ms, created_at)
    SELECT id, %(attempt_number)s, %(status)s, %(body)s, %(message_id)s, %(delivered)s,
           %(error)s, %(milliseconds)s, %(at)s
    FROM recorded
), counted AS (
    UPDATE notification_channels
    SET total_notifications = {_plus("total_notifications", "1")},
        success_notifications = {_plus("success_notifications", "%(delivered)s::int")},
        failed_notifications = {_plus("failed_notifications", "(NOT %(delivered)s)::int")},
        last_notification_at = %(at)s,
        last_success_at = CASE WHEN %(delivered)s THEN %(at)s ELSE last_success_at END,
        last_failure_at = CASE WHEN %(delivered)s THEN last_failure_at ELSE %(at)s END,
        updated_at = %(at)s
    WHERE id = (SELECT channel_id FROM recorded)
), stored AS ({_STORE_LIMITS}
)
SELECT status, attempt_count FROM recorded"""

_STATE = """
SELECT status, coalesce(attempt_count, 0) AS attempt_count
FROM notification_notifications WHERE id = %(id)s"""


def record(
    session: RetrySession, channel: Channel, row: DictRow, attempt: SendResult, at: float
) -> PassResult:
    """Record one attempt made at that time, in one statement.

    Nothing is written if another attempt was recorded meanwhile (detail ``superseded``). A
    notification that cannot be written is set aside (``failed``).
    """
    delivered = not attempt.error
    recorded, why = None, ""
    with RowGuard() as guard, hiding(*tokens(row["webhook_url"])):
        recorded = _record(session, _values(session, channel, row, attempt, at))
        state = recorded or session.execute(_STATE, id=row["id"]).fetchone()
        if _is_unchanged(state, row["attempt_count"], is_final=bool(recorded) and delivered):
            why = "a trigger or rule keeps it as it is"
    if guard.error:
        why = reason(guard.error)
    if why:
        why = f"not recorded: {why}"
        return unsent_notifications.set_aside(session, row["id"], why, at, delivered=delivered)
    if not recorded:
        _log.warning("notification_changed", notification_id=row["id"])
        return PassResult(details={"superseded": 1})
    if attempt.error:
        return PassResult(1, failed=1, note=f"notification {row['id']}: {attempt.error}")
    return PassResult(1, details={"delivered": 1})


def store_limits(session: RetrySession, channel: UUID, limits: ChannelLimits, at: float) -> None:
    """Store when this channel may be called again."""
    session.execute(_STORE_LIMITS, **_limits(session, channel, limits, at))


def store_quiet(session: RetrySession, quiet: Quiet, at: float) -> None:
    """Store when any channel may be called again, for later passes and other machines."""
    values = _limits(session, ALL_CHANNELS, ChannelLimits(quiet_until=quiet.until), at)
    session.execute(_STORE_LIMITS, **{**values, "gone_reason": quiet.reason})


def gone_reason(attempt: SendResult) -> str:
    """The last_error of the notifications that wait for a channel after a permanent failure."""
    return f"not sent: this channel's webhook answered {attempt.error}"


def _record(session: RetrySession, values: dict[str, Any]) -> DictRow | None:
    """Record one attempt; return the notification's new state, or None if no row matched."""
    # The message was sent: recording it is worth waiting for another transaction's lock.
    for _ in range(_RECORD_TRIES - 1):
        try:
            return session.execute(_RECORD, **values).fetchone()
        except psycopg.Error as error:
            if not contended(error):
                raise
    return session.execute(_RECORD, **values).fetchone()


def _values(
    session: RetrySession, channel: Channel, row: DictRow, attempt: SendResult, at: float
) -> dict[str, Any]:
    values = {
        **_limits(session, channel.id, channel.limits, at),
        "at": session.time(at),
        "id": row["id"],
        "attempt_count": row["attempt_count"],
        "attempt_number": row["attempt_count"] + 1,
        "delivered": not attempt.error,
        **asdict(attempt),
    }
    if attempt.permanent:
        values |= {"gone_row": row["channel_row"], "gone_reason": gone_reason(attempt)}
    return values


def _limits(
    session: RetrySession, channel: UUID, limits: ChannelLimits, at: float
) -> dict[str, Any]:
    return {
        "channel": channel,
        "requests": [session.time(request) for request in limits.counted(at)],
        "quiet_until": session.time(limits.quiet_until),
        "gone_row": None,
        "gone_reason": "",
    }


def _is_unchanged(state: DictRow | None, attempts_before: int, *, is_final: bool) -> bool:
    """Whether the row is unchanged, so that the notification would be sent again."""
    if state is None or state["status"] != "failed":
        return False
    return is_final or state["attempt_count"] == attempts_before
