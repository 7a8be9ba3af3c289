"""message-cleanup: old chat messages are deleted for good.

Due: messages created more than MESSAGE_CLEANUP_RETENTION_DAYS ago, soft-deleted ones included.
Changes: the rows are deleted. No event. A crash leaves complete batches deleted; the rest is
still due.
"""

from common import config
from common.database import Index, TableAccess, ctid, own_tables
from common.scheduling import Scheduler
from common.scheduling.retention import Retention
from workers.twitchbot.tables import MESSAGES

RETENTION = config.days("MESSAGE_CLEANUP_RETENTION_DAYS", "90", "days that chat messages are kept")

_IS_DUE = "(created_at < %(cutoff)s OR created_at IS NULL) AND id <> ALL (%(failed_rows)s::uuid[])"

# The messages that the next pass deletes, for a dry run.
DUE = f"SELECT id, stream_id, username, created_at FROM twitchbot_messages WHERE {_IS_DUE}"

# Delete one batch of messages. Locking them first would take as long again as deleting them, and
# messages are rarely locked.
DELETE_EAGERLY = f"""
DELETE FROM twitchbot_messages
WHERE {ctid.in_range()} AND {_IS_DUE}"""

# Delete one batch of messages, except those that another transaction has locked.
DELETE = f"""
WITH due AS (
    SELECT id, ctid FROM twitchbot_messages
    WHERE {ctid.in_range()} AND {_IS_DUE}
    FOR UPDATE SKIP LOCKED
), deleted AS (
    DELETE FROM twitchbot_messages WHERE {ctid.same_rows("due")} AND {_IS_DUE}
    RETURNING 1
)
SELECT (SELECT count(*) FROM due) AS found, count(*) AS processed FROM deleted"""

CLEANUP = Retention(
    table="twitchbot_messages", due=DUE, delete=DELETE, eager=DELETE_EAGERLY, days=RETENTION
)

SCHEDULER = Scheduler(
    name="message-cleanup",
    summary="deletes old chat messages",
    enabled=config.boolean(
        "MESSAGE_CLEANUP_ENABLED", "true", "whether old chat messages are deleted"
    ),
    interval=config.interval(
        "MESSAGE_CLEANUP_INTERVAL", "24h", "time from one clean-up of chat messages to the next"
    ),
    run=CLEANUP.run,
    preview=CLEANUP.preview,
    backlog=CLEANUP.backlog,
    settings=(RETENTION,),
    tables=(
        TableAccess(
            MESSAGES,
            select=("ctid", "id", "stream_id", "username", "created_at"),
            # FOR UPDATE asks for the right to update some column.
            update=("deleted_at",),
            delete=True,
            profits=(Index(("created_at",)),),
        ),
        own_tables.SETTING_ROWS_ASIDE,
    ),
)
