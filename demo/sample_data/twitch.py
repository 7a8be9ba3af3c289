"""Sample rows of twitchbot: viewers, streams and what was said in them."""

from collections.abc import Iterator
from datetime import datetime
from uuid import UUID

from demo.sample_data.source import DAY, HOUR, MINUTE, Row, Source

# Takes the messages while no stream is live: always active, never ended.
CHAT_ONLY_STREAM = UUID("00000000-0000-0000-0000-000000000001")
GAMES = ("Tower of Tea", "Goblin Gardens", "Slow Racer", "World of Warcraft")


def rows(source: Source) -> Iterator[Row]:
    """twitchbot_viewers, twitchbot_streams, twitchbot_messages."""
    viewers = [_viewer(source) for _ in range(120)]
    streams = list(_streams(source))
    yield from viewers
    yield from streams
    yield from _messages(source, viewers, streams)


def _viewer(source: Source) -> Row:
    number = source.number()
    values: dict[str, object] = {
        "id": source.id(),
        "twitch_id": str(90_000_000 + number),
        "username": f"{source.name().replace(' ', '_')}_{number}",
    }
    return Row("twitchbot_viewers", values | source.times(source.ago(300 * DAY, 600 * DAY)))


def _streams(source: Source) -> Iterator[Row]:
    chat_only = _stream(source, started=source.ago(400 * DAY, 500 * DAY), active=True)
    yield Row(
        chat_only.table,
        chat_only.values | {"id": CHAT_ONLY_STREAM, "title": "Chat-Only Messages", "game_name": ""},
    )
    for _ in range(5):  # the bot went away before the stream ended: closed
        yield _stream(source, started=source.ago(26 * HOUR, 9 * DAY), active=True)
    for _ in range(2):  # live
        stream = _stream(source, started=source.ago(25 * HOUR, 40 * HOUR), active=True)
        stream.values["updated_at"] = source.ago(MINUTE, 5 * MINUTE)
        yield stream
    for _ in range(3):  # would be closed, were it not deleted
        started = source.ago(10 * DAY, 90 * DAY)
        yield _stream(source, started, active=True, deleted=source.ago(HOUR, 9 * DAY))
    for _ in range(150):
        yield _stream(source, started=source.ago(2 * DAY, 390 * DAY), active=False)


def _stream(
    source: Source, started: datetime, *, active: bool, deleted: datetime | None = None
) -> Row:
    viewers = source.between(5, 400)
    values: dict[str, object] = {
        "id": source.id(),
        "title": f"Evening with a {source.name()}",
        "game_name": source.one_of(GAMES),
        "game_id": str(source.between(1000, 99_999)),
        "started_at": started,
        "ended_at": None if active else started + 3 * HOUR,
        "peak_viewers": viewers * 2,
        "average_viewers": viewers,
        "total_messages": source.between(0, 9000),
        "is_active": active,
    }
    return Row("twitchbot_streams", values | source.times(started, deleted))


def _messages(source: Source, viewers: list[Row], streams: list[Row]) -> Iterator[Row]:
    for _ in range(260):  # deleted for good
        yield _message(source, viewers, streams, created=source.ago(91 * DAY, 380 * DAY))
    for _ in range(20):  # these too: deleted softly is still there
        message = _message(source, viewers, streams, created=source.ago(91 * DAY, 380 * DAY))
        message.values["deleted_at"] = source.ago(DAY, 90 * DAY)
        yield message
    for _ in range(500):
        yield _message(source, viewers, streams, created=source.ago(MINUTE, 89 * DAY))
    for _ in range(10):  # said long ago, imported lately: the row is young
        message = _message(source, viewers, streams, created=source.ago(DAY, 20 * DAY))
        message.values["sent_at"] = source.ago(200 * DAY, 380 * DAY)
        yield message


def _message(source: Source, viewers: list[Row], streams: list[Row], created: datetime) -> Row:
    viewer = source.one_of(viewers).values
    return Row(
        "twitchbot_messages",
        {
            "id": source.id(),
            "stream_id": source.one_of(streams).id,
            "user_id": viewer["twitch_id"],
            "username": viewer["username"],
            "display_name": str(viewer["username"]).title(),
            "message": f"look, a {source.name()}!",
            "is_moderator": source.between(1, 20) == 1,
            "is_subscriber": source.between(1, 4) == 1,
            "is_vip": False,
            "is_broadcaster": False,
            "sent_at": created,
            "created_at": created,
            "deleted_at": None,
        },
    )
