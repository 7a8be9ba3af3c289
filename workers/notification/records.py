"""What notification-retry writes: attempts and what became of them, and what Discord has asked."""

from datetime import timedelta
from typing import Any
from uuid import UUID

import psycopg
from psycopg.rows import DictRow

from common import failed_rows, logs
from common.database_errors import contended, hiding, server_fault
from common.redact import tokens
from common.scheduler import PassResult
from common.session import Session
from workers.notification.discord import Attempt
from workers.notification.due import EVERYWHERE, IS_WAITING, Channel
from workers.notification.pace import Pace, PassClock

_log = logs.logger(__name__)

_RECORD_TRIES = 3
# A row that cannot be recorded is not sent over and over. One that was delivered never again.
_SET_ASIDE = timedelta(days=1)
_SET_ASIDE_DELIVERED = timedelta(days=36_500)

# What is known of one channel from its latest answer on.
_KEEP = """
INSERT INTO toast_discord_channels (channel_id, requests, quiet_until, gone_row, gone_reason)
VALUES (%(channel)s, %(requests)s, %(quiet_until)s, %(gone_row)s, %(gone_reason)s)
ON CONFLICT (channel_id) DO UPDATE
SET requests = excluded.requests, quiet_until = excluded.quiet_until,
    gone_row = excluded.gone_row, gone_reason = excluded.gone_reason"""

# One attempt: its row, the notification's outcome and the channel's counters, unless somebody
# else has made another attempt meanwhile. After an answer that is permanent, no further one.
_RECORD = f"""
WITH recorded AS (
    UPDATE notification_notifications
    SET status = CASE WHEN %(delivered)s THEN 'success' ELSE 'failed' END,
        attempt_count = CASE WHEN %(permanent)s
            THEN greatest(attempt_count + 1, %(max_retries)s) ELSE attempt_count + 1 END,
        discord_message_id =
            CASE WHEN %(delivered)s THEN %(message_id)s ELSE discord_message_id END,
        sent_at = CASE WHEN %(delivered)s THEN %(at)s ELSE sent_at END,
        last_error = %(error)s, updated_at = %(at)s
    WHERE id = %(id)s AND attempt_count = %(attempt_count)s
    RETURNING id, channel_id
), attempt AS (
    INSERT INTO notification_attempts (notification_id, attempt_number, response_status,
        response_body, discord_message_id, success, error, duration_ms, created_at)
    SELECT id, %(attempt_count)s + 1, %(status)s, %(body)s, %(message_id)s, %(delivered)s,
           %(error)s, %(milliseconds)s, %(at)s
    FROM recorded
), counted AS (
    UPDATE notification_channels
    SET total_notifications = total_notifications + 1,
        success_notifications = success_notifications + %(delivered)s::int,
        failed_notifications = failed_notifications + (NOT %(delivered)s)::int,
        last_notification_at = %(at)s,
        last_success_at = CASE WHEN %(delivered)s THEN %(at)s ELSE last_success_at END,
        last_failure_at = CASE WHEN %(delivered)s THEN last_failure_at ELSE %(at)s END,
        updated_at = %(at)s
    WHERE id = (SELECT channel_id FROM recorded)
), kept AS ({_KEEP}
)
SELECT count(*) AS recorded FROM recorded"""

# Why the waiting notifications of one channel are not sent.
_EXPLAIN = f"""
UPDATE notification_notifications SET last_error = %(reason)s, updated_at = %(at)s
WHERE id = ANY (ARRAY(
    SELECT notification.id FROM notification_notifications AS notification
    WHERE notification.channel_id = %(channel)s AND notification.last_error <> %(reason)s
      AND {IS_WAITING}
    FOR UPDATE SKIP LOCKED))"""


class Records:
    """Writes on the pass's connection; ``parameters`` are those of IS_WAITING."""

    def __init__(self, connection: Session, parameters: dict[str, Any], clock: PassClock) -> None:
        self._connection = connection
        self._parameters = parameters
        self._clock = clock

    def attempt(self, channel: Channel, row: DictRow, attempt: Attempt, at: float) -> PassResult:
        """Record one attempt made at that time, and what follows from it, in one statement.

        Nothing is recorded where another attempt was recorded meanwhile, and a notification
        that cannot be written is set aside; the result says so.
        """
        try:
            recorded = self._try_to_record(channel, row, attempt, at)
        except psycopg.DatabaseError as error:
            if server_fault(error):
                raise
            return self._set_aside(row, attempt, error, at)
        if not recorded:
            _log.warning("notification_changed_meanwhile", notification_id=row["id"])
            return PassResult(details={"superseded": 1})
        if attempt.error:
            return PassResult(1, failed=1, note=f"notification {row['id']}: {attempt.error}")
        return PassResult(1, details={"delivered": 1})

    def keep_pace(self, channel: Channel, at: float) -> None:
        """Remember when this channel may be called again."""
        self._connection.execute(_KEEP, self._known(channel.id, channel.pace, at))

    def keep_quiet_everywhere(self, until: float) -> None:
        """Remember that nothing may be called before that time."""
        self._connection.execute(_KEEP, self._known(EVERYWHERE, Pace(quiet_until=until), until))

    def explain(self, channel: Channel, reason: str, at: float) -> None:
        """Say in the notifications that wait for this channel why they are not sent."""
        values = self._values(at) | {"channel": channel.id, "reason": reason}
        try:
            self._connection.execute(_EXPLAIN, values)
        except psycopg.DatabaseError as error:
            if server_fault(error):
                raise
            _log.warning("reason_not_recorded", channel_id=channel.id, error=error)

    def forget_set_aside(self) -> None:
        """Forget the notifications whose time to be tried again had come before this pass."""
        failed_rows.forget_recovered(
            self._connection, self._parameters["scheduler"], self._parameters["now"]
        )

    def _try_to_record(self, channel: Channel, row: DictRow, attempt: Attempt, at: float) -> bool:
        # The message is out: a lock that somebody holds on the row is worth waiting for.
        for tries_left in reversed(range(_RECORD_TRIES)):
            try:
                return self._record(channel, row, attempt, at)
            except psycopg.DatabaseError as error:
                if not (contended(error) and tries_left):
                    raise
        return False

    def _record(self, channel: Channel, row: DictRow, attempt: Attempt, at: float) -> bool:
        values = {
            **self._values(at),
            **self._known(channel.id, channel.pace, at),
            "id": row["id"],
            "attempt_count": row["attempt_count"],
            "delivered": not attempt.error,
            "permanent": attempt.permanent,
            "message_id": attempt.message_id,
            "error": attempt.error,
            "status": attempt.status,
            "body": attempt.body,
            "milliseconds": attempt.milliseconds,
        }
        if attempt.permanent:
            values |= {"gone_row": row["channel_row"], "gone_reason": gone_reason(attempt)}
        with hiding(*tokens(row["webhook_url"])):
            counted = self._connection.execute(_RECORD, values).fetchone()
        return bool(counted and counted["recorded"])

    def _known(self, channel_id: UUID, pace: Pace, at: float) -> dict[str, Any]:
        return {
            "channel": channel_id,
            "requests": [self._clock.time(request) for request in pace.counted(at)],
            "quiet_until": self._clock.time(pace.quiet_until),
            "gone_row": None,
            "gone_reason": "",
        }

    def _set_aside(
        self, row: DictRow, attempt: Attempt, error: psycopg.DatabaseError, at: float
    ) -> PassResult:
        said = f"{type(error).__name__}: {error}"
        delivered = not attempt.error
        reason = failed_rows.set_aside(
            self._connection,
            self._parameters["scheduler"],
            row["id"],
            f"{'delivered, but ' if delivered else ''}not recorded: {said}",
            self._clock.time(at),
            rest=_SET_ASIDE_DELIVERED if delivered else _SET_ASIDE,
        )
        _log.error("notification_set_aside", notification_id=row["id"], reason=reason)
        return PassResult(failed=1, note=f"notification {row['id']} set aside: {reason}")

    def _values(self, at: float) -> dict[str, Any]:
        return {**self._parameters, "at": self._clock.time(at)}


def gone_reason(attempt: Attempt) -> str:
    """What the notifications that wait for a channel say after this attempt, a permanent one."""
    return f"not sent: this channel's webhook answered {attempt.error}"
