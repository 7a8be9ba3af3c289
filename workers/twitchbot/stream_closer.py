"""stream-closer: a stream that the bot never ended is ended.

Due: active streams, not deleted, not updated for STREAM_CLOSER_INACTIVE_TIMEOUT. Changes:
``is_active`` false, ``ended_at`` and ``updated_at`` now. No event. A crash leaves complete
batches; the rest is still due.
"""

from common import config
from common.database import Index
from common.scheduling import Condition, Scheduler, has_come
from common.scheduling.work.batched_change import BatchedChange
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

CLOSING = BatchedChange(
    STREAMS,
    due=(
        Condition("active", "is_active"),
        Condition("not deleted", "deleted_at IS NULL"),
        has_come(
            "without an update for too long",
            "updated_at",
            "%(inactive_since)s",
            or_is_null=True,
        ),
        Condition("not the stream for messages while none is live", f"id <> '{CHAT_ONLY}'"),
    ),
    changes={"is_active": "false", "ended_at": "%(now)s", "updated_at": "%(now)s"},
    ago={"inactive_since": INACTIVE_TIMEOUT},
    shows=("id", "title", "started_at", "updated_at"),
    since="updated_at + (%(now)s - %(inactive_since)s)",
    index=Index(("updated_at",), "is_active AND deleted_at IS NULL"),
)

SCHEDULER = Scheduler(
    name="stream-closer",
    summary="ends streams that the bot never ended",
    enabled=config.boolean("STREAM_CLOSER_ENABLED", "true", "whether orphaned streams are ended"),
    interval=config.interval(
        "STREAM_CLOSER_INTERVAL", "1h", "time from one look for orphaned streams to the next"
    ),
    work=CLOSING,
)
