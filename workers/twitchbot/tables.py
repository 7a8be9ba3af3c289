"""The live tables of twitchbot: the columns that its schedulers use."""

from common.database import BOOLEAN, TEXT, TIME, UUID, Table

MESSAGES = Table(
    "twitchbot_messages",
    {"id": UUID, "stream_id": UUID, "username": TEXT, "created_at": TIME, "deleted_at": TIME},
)
STREAMS = Table(
    "twitchbot_streams",
    {
        "id": UUID,
        "title": TEXT,
        "started_at": TIME,
        "ended_at": TIME,
        "is_active": BOOLEAN,
        "updated_at": TIME,
        "deleted_at": TIME,
    },
)
