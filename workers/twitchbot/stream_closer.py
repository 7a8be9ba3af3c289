"""stream-closer: a stream that the bot never ended is ended.

Due: active streams, not deleted, not updated for STREAM_CLOSER_INACTIVE_TIMEOUT. Changes:
``is_active`` false, ``ended_at`` and ``updated_at`` now. No event. A crash leaves complete
batches; the rest is still due.
"""

from typing import Any

from common import config
from common.database import Index, TableAccess, ctid, own_tables
from common.scheduling import Pass, Scheduler
from common.scheduling.batched_change import BatchedChange
from workers.twitchbot.tables import STREAMS

# "Chat-Only Messages": where the live bot stores chat messages while no stream is live. It is
# always active, and its updated_at stays old while messages come in.
CHAT_ONLY = "00000000-0000-0000-0000-000000000001"

INACTIVE_TIMEOUT = config.duration(
    "STREAM_CLOSER_INACTIVE_TIMEOUT",
    "24h",
    "how long an active stream may go without an update before it counts as orphaned",
    minimum="1m",
)

_IS_DUE = f"""
    is_active AND deleted_at IS NULL
    AND (updated_at <= %(now)s - %(timeout)s OR updated_at IS NULL)
    AND id <> '{CHAT_ONLY}' AND id <> ALL (%(failed_rows)s::uuid[])"""

# The streams that the next pass ends, for a dry run.
DUE = f"SELECT id, title, started_at, updated_at FROM twitchbot_streams WHERE {_IS_DUE}"

# End one batch of streams.
END = f"""
WITH due AS (
    SELECT id, ctid FROM twitchbot_streams
    WHERE {ctid.in_range()} AND {_IS_DUE}
    FOR UPDATE SKIP LOCKED
), ended AS (
    UPDATE twitchbot_streams SET is_active = false, ended_at = %(now)s, updated_at = %(now)s
    WHERE {ctid.same_rows("due")} AND {_IS_DUE}
    RETURNING id
)
SELECT (SELECT count(*) FROM due) AS found, count(*) AS processed FROM ended"""


def _parameters(current: Pass) -> dict[str, Any]:
    return {"timeout": current.settings[INACTIVE_TIMEOUT]}


CHANGE = BatchedChange(table="twitchbot_streams", due=DUE, batch=END, parameters=_parameters)

SCHEDULER = Scheduler(
    name="stream-closer",
    summary="ends streams that the bot never ended",
    enabled=config.boolean("STREAM_CLOSER_ENABLED", "true", "whether orphaned streams are ended"),
    interval=config.interval(
        "STREAM_CLOSER_INTERVAL", "1h", "time from one look for orphaned streams to the next"
    ),
    run=CHANGE.run,
    preview=CHANGE.preview,
    backlog=CHANGE.backlog,
    settings=(INACTIVE_TIMEOUT,),
    tables=(
        TableAccess(
            STREAMS,
            select=(
                *("ctid", "id", "title", "started_at", "is_active", "updated_at", "deleted_at"),
            ),
            update=("is_active", "ended_at", "updated_at"),
            profits=(Index(("updated_at",), "is_active AND deleted_at IS NULL"),),
        ),
        own_tables.SETTING_ROWS_ASIDE,
    ),
)
