"""Notifications that are not sent: one is set aside, or all of a channel get the reason."""

import time
from datetime import timedelta
from typing import Any
from uuid import UUID

import psycopg

from common.database import failed_rows
from common.database.error_classification import contended, reason, server_fault
from common.logging import logs
from common.scheduling import NOTHING, PassResult
from workers.notification.due_notifications import IS_WAITING, Channel
from workers.notification.retry_session import RetrySession

_log = logs.logger(__name__)

# A row that fails is retried, and perhaps sent again, once a day; a delivered one never.
_SET_ASIDE_FOR = timedelta(days=1)
_SET_ASIDE_DELIVERED_FOR = timedelta(days=36_500)

# The notifications of one channel that do not have this reason in last_error yet.
_IS_UNEXPLAINED = f"""
    notification.channel_id = %(channel)s
    AND notification.last_error IS DISTINCT FROM %(reason)s AND {IS_WAITING}"""
_UNEXPLAINED = f"""
SELECT notification.id FROM notification_notifications AS notification WHERE {_IS_UNEXPLAINED}"""

_EXPLAIN = """
UPDATE notification_notifications AS notification
SET last_error = %(reason)s, updated_at = %(at)s"""
_EXPLAIN_ALL = f"""{_EXPLAIN}
WHERE id = ANY (ARRAY({_UNEXPLAINED} FOR UPDATE SKIP LOCKED)) AND {_IS_UNEXPLAINED}"""
_EXPLAIN_ONE = f"""{_EXPLAIN} WHERE id = %(id)s AND {_IS_UNEXPLAINED}"""

# If the statement for all fails, rows are tried one by one, so far; later passes continue.
_ONE_BY_ONE_ROWS = 1000
_ONE_BY_ONE_SECONDS = 20.0
_ONE_LIMITS = {"lock_timeout": "500ms", "statement_timeout": "10s"}


def set_aside(
    session: RetrySession, notification: UUID, why: str, at: float, *, delivered: bool = False
) -> PassResult:
    """Set this notification aside, for a day or, if it was delivered, for good."""
    stored = failed_rows.set_aside(
        session.connection,
        session.parameters["scheduler"],
        notification,
        f"delivered, but {why}" if delivered else why,
        session.time(at),
        first_delay=_SET_ASIDE_DELIVERED_FOR if delivered else _SET_ASIDE_FOR,
    ).reason
    _log.error("notification_set_aside", notification_id=notification, reason=stored)
    return PassResult(failed=1, note=f"notification {notification} set aside: {stored}")


def explain(session: RetrySession, channel: Channel, why: str, at: float) -> PassResult:
    """Write the reason into the notifications that wait for this channel; those that cannot be
    written are set aside."""
    values = {"at": session.time(at), "channel": channel.id, "reason": why}
    try:
        session.execute(_EXPLAIN_ALL, **values)
    except psycopg.Error as error:
        if server_fault(error):
            raise
        _log.warning("reason_record_failed", channel_id=channel.id, error=error)
        if not contended(error):
            return _explain_one_by_one(session, values, at)
    return NOTHING


def forget_set_aside(session: RetrySession) -> None:
    """Delete the set-aside records whose retry time had come before this pass."""
    current = session.current
    failed_rows.forget_recovered(session.connection, current.scheduler, current.now)


def _explain_one_by_one(session: RetrySession, values: dict[str, Any], at: float) -> PassResult:
    rows = session.execute(f"{_UNEXPLAINED} LIMIT {_ONE_BY_ONE_ROWS}", **values).fetchall()
    total, deadline = NOTHING, time.monotonic() + _ONE_BY_ONE_SECONDS
    for row in rows:
        if time.monotonic() > deadline:
            break
        try:
            with session.connection.begin(_ONE_LIMITS):
                session.execute(_EXPLAIN_ONE, **values, id=row["id"])
        except psycopg.Error as error:
            if server_fault(error):
                raise
            if not contended(error):
                total += set_aside(session, row["id"], f"not recorded: {reason(error)}", at)
    return total
