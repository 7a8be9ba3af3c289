"""What notification-retry reads: the channels with waiting notifications, and their notifications
one after the other, oldest first. Memory is bounded by the number of channels."""

from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from psycopg.rows import DictRow

from common.config import Variable
from common.scheduling import Condition, Pass
from common.scheduling.work.due_rows import all_of, not_set_aside
from common.scheduling.work.one_row import OneRow
from workers.notification.discord.rate_limits import ChannelLimits
from workers.notification.retry_session import RetrySession
from workers.notification.tables import NOTIFICATIONS

# In toast_discord_channels, the row of Discord as a whole has this channel id.
ALL_CHANNELS = UUID(int=0)

PAGE_ROWS = 30

# A hash of what an operator sets in a channel's row, without the counters and times that every
# delivery changes. It is a hash of the stored bytes: an SQL_ASCII database does not check that they
# are valid text.
CHANNEL_ROW = """
    encode(sha256(convert_to(ROW(channel.name, channel.webhook_url, channel.event_types,
        channel.color, channel.active, channel.description, channel.deleted_at)::text,
        getdatabaseencoding())), 'hex')"""

_IS_OPEN = "(channel.active IS TRUE AND channel.deleted_at IS NULL)"

_GONE = f"""
    (SELECT known.gone_reason FROM toast_discord_channels AS known
     WHERE known.channel_id = channel.id AND known.gone_row = {CHANNEL_ROW})"""

# No request before then: Discord has limited the channel.
_QUIET_UNTIL = """
    (SELECT known.quiet_until FROM toast_discord_channels AS known
     WHERE known.channel_id = channel.id)"""

_WAITING = (
    Condition("failed", "notification.status = 'failed'"),
    Condition("not deleted", "notification.deleted_at IS NULL"),
    # No coalesce(): the index that makes an idle pass cheap begins with attempt_count.
    Condition(
        "attempts left",
        "notification.attempt_count < %(max_retries)s OR notification.attempt_count IS NULL",
    ),
    not_set_aside("notification.id"),
)
DUE_CONDITIONS = (
    *_WAITING,
    Condition(
        "channel active and not deleted",
        _IS_OPEN,
        shows={f"channel.{name}": f"channel.{name}" for name in ("active", "deleted_at")},
    ),
    Condition("webhook of the channel not gone", f"{_GONE} IS NULL", shows={"channel gone": _GONE}),
)
IS_WAITING = all_of(_WAITING)
_IS_DUE = all_of(DUE_CONDITIONS)

_JOINED = "JOIN notification_channels AS channel ON channel.id = notification.channel_id"
_FROM = f"""
FROM notification_notifications AS notification {_JOINED}"""
# Every notification, also without its channel.
_ALL = f"notification_notifications AS notification LEFT {_JOINED}"

# The order of a channel's notifications: NULL is the oldest. Python cannot represent every time of
# PostgreSQL, so a position in the queue is kept as PostgreSQL's text.
_TIME = "coalesce(notification.created_at, '-infinity')"

_SHOWN = (
    *("notification.id", "channel.name AS channel", "notification.event_type"),
    *("coalesce(notification.attempt_count, 0) AS attempt_count", "notification.created_at"),
)

# The notifications that the next pass sends, for a dry run.
DUE = f"""
SELECT {", ".join(_SHOWN)}
{_FROM} WHERE {_IS_DUE}
ORDER BY {_TIME}, notification.id"""

# A channel that was changed since it was given up may be called again.
_FORGET_GONE = f"""
UPDATE toast_discord_channels AS known SET gone_row = NULL, gone_reason = ''
FROM notification_channels AS channel
WHERE channel.id = known.channel_id AND known.gone_row <> {CHANNEL_ROW}"""

# Every channel with waiting notifications, and whether it may be called. No text columns: one
# channel's unreadable text must not hide the others.
_CHANNELS = f"""
SELECT channel.id, {_IS_OPEN} AS is_open, {_GONE} AS gone_reason,
       count(*) AS "left", min({_TIME}) AS oldest
{_FROM} WHERE {IS_WAITING}
GROUP BY channel.id"""

# When these channels may be called again; Discord as a whole is one of the rows.
_LIMITS = """
SELECT channel_id, requests, quiet_until, gone_reason FROM toast_discord_channels
WHERE channel_id = ANY (%(channels)s::uuid[])"""

# Channels that a message has reached between these times, whichever process sent it.
_REACHED = """
SELECT count(*) AS reached FROM notification_channels
WHERE last_success_at > %(since)s AND last_success_at < %(now)s"""

# The next notifications of one channel, oldest first.
_PAGE = f"""
SELECT notification.id, {_TIME}::text AS time
FROM notification_notifications AS notification
WHERE notification.channel_id = %(channel)s AND {IS_WAITING}
  AND (%(after_id)s::uuid IS NULL
       OR ({_TIME}, notification.id) > (%(after_time)s::timestamptz, %(after_id)s))
ORDER BY {_TIME}, notification.id LIMIT {PAGE_ROWS}"""

# One notification with its channel as it is now, if it is still due.
_READ = f"""
SELECT notification.id, notification.event_id, notification.event_type,
       notification.event_payload, notification.created_at,
       coalesce(notification.attempt_count, 0) AS attempt_count, channel.name AS channel,
       channel.webhook_url, coalesce(channel.color, 0) AS color, {CHANNEL_ROW} AS channel_row
{_FROM} WHERE notification.id = %(id)s AND {_IS_DUE}"""


@dataclass(frozen=True, slots=True)
class Quiet:
    """No channel is called before ``until``; ``reason`` says why Discord was away, if it was."""

    until: float = 0.0
    reason: str = ""


@dataclass(slots=True)
class Channel:
    """A channel with waiting notifications. ``left`` counts those that this pass has not handled
    yet; ``next_ids`` are the first of them, and ``last`` is the position in the queue of the last
    of these. ``gone_reason`` is None unless the channel was given up; ``name`` is set when the
    first notification is read."""

    id: UUID
    oldest: datetime
    left: int
    is_open: bool
    gone_reason: str | None
    name: str = ""
    limits: ChannelLimits = field(default_factory=ChannelLimits)
    next_ids: deque[UUID] = field(default_factory=deque)
    last: tuple[str, UUID] | None = None


def one_row(parameters: Callable[[Pass], Mapping[str, Any]], max_retries: Variable[int]) -> OneRow:
    """Why one notification is due, or not; ``parameters`` are those of the conditions."""
    return OneRow(
        table=NOTIFICATIONS,
        rows=_ALL,
        alias="notification",
        conditions=DUE_CONDITIONS,
        shows=(*_SHOWN, f"{_QUIET_UNTIL} AS channel_quiet_until"),
        since="created_at",
        parameters=parameters,
        settings={"max_retries": max_retries},
    )


def forget_gone(session: RetrySession) -> None:
    """Allow calls again to channels whose row has changed since they were given up."""
    session.execute(_FORGET_GONE)


def channels(session: RetrySession) -> list[Channel]:
    """Every channel with waiting notifications, also those that may not be called."""
    return [Channel(**row) for row in session.execute(_CHANNELS)]


def load_limits(session: RetrySession, channels: Iterable[Channel]) -> Quiet:
    """Set the channels' limits as earlier passes stored them; return that of Discord as a whole."""
    by_id = {channel.id: channel for channel in channels}
    everywhere = Quiet()
    for row in session.execute(_LIMITS, channels=[ALL_CHANNELS, *by_id]):
        quiet_until = session.seconds(row["quiet_until"]) if row["quiet_until"] else 0.0
        if row["channel_id"] == ALL_CHANNELS:
            everywhere = Quiet(quiet_until, row["gone_reason"])
        else:
            requests = map(session.seconds, row["requests"])
            by_id[row["channel_id"]].limits = ChannelLimits(requests, quiet_until)
    return everywhere


def reached_since(session: RetrySession, since: datetime) -> int:
    """The number of channels that were reached from then until the start of this pass."""
    row = session.execute(_REACHED, since=since).fetchone()
    return row["reached"] if row else 0


def has_next(session: RetrySession, channel: Channel) -> bool:
    """Whether a notification waits that was not taken yet; reads the next page if needed."""
    return channel.gone_reason is None and (bool(channel.next_ids) or _turn_page(session, channel))


def take_next(session: RetrySession, channel: Channel) -> UUID | None:
    """Take the channel's next notification; None if there is none."""
    return channel.next_ids.popleft() if has_next(session, channel) else None


def read(session: RetrySession, channel: Channel, notification: UUID | None) -> DictRow | None:
    """Read a notification; None if it is no longer due. The id None matches no row."""
    row = session.execute(_READ, id=notification).fetchone()
    if row:
        channel.name = row["channel"]
    return row


def _turn_page(session: RetrySession, channel: Channel) -> bool:
    after_time, after_id = channel.last or (None, None)
    rows = session.execute(
        _PAGE, channel=channel.id, after_time=after_time, after_id=after_id
    ).fetchall()
    channel.next_ids.extend(row["id"] for row in rows)
    if rows:
        channel.last = (rows[-1]["time"], rows[-1]["id"])
    return bool(rows)
