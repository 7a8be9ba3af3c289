"""Sample rows of twitchbot: viewers, streams and chat messages."""

from collections.abc import Iterator
from datetime import datetime
from uuid import UUID

from devservers.sample_data.source import DAY, HOUR, MINUTE, Row, Source

# Takes the messages while no stream is live: always active, never ended.
CHAT_ONLY_STREAM = UUID("00000000-0000-0000-0000-000000000001")
GAMES = ("Tower of Tea", "Goblin Gardens", "Slow Racer", "World of Warcraft")


def rows(source: Source) -> Iterator[Row]:
    """Viewers, streams and messages, then clips, commands and channel visits."""
    viewers = [_viewer(source) for _ in range(120)]
    streams = list(_streams(source))
    yield from viewers
    yield from streams
    yield from _messages(source, viewers, streams)
    for _ in range(20):
        yield _clip(source, source.one_of(viewers), source.one_of(streams))
    yield from (_command(source, name) for name in ("lurk", "socials", "uptime"))
    yield from (_channel_viewer(source, viewer) for viewer in viewers)


def _viewer(source: Source) -> Row:
    number = source.number()
    username = f"{source.name().replace(' ', '_')}_{number}"
    first_seen = source.ago(300 * DAY, 600 * DAY)
    values: dict[str, object] = {
        "id": source.id(),
        "twitch_id": str(90_000_000 + number),
        "username": username,
        "display_name": username.title(),
        "first_seen": first_seen,
        "last_seen": source.ago(MINUTE, 300 * DAY),
    }
    return Row("twitchbot_viewers", values | source.times(first_seen))


def _channel_viewer(source: Source, viewer: Row) -> Row:
    values = viewer.values | {"id": source.id(), "channel": "toxictoast"}
    return Row("twitchbot_channel_viewers", values)


def _clip(source: Source, viewer: Row, stream: Row) -> Row:
    code = f"clip{source.number()}"
    clipped = source.ago(DAY, 300 * DAY)
    values: dict[str, object] = {
        "id": source.id(),
        "stream_id": stream.id,
        "twitch_clip_id": code,
        "title": f"The {source.name()}",
        "url": f"https://clips.example/{code}",
        "embed_url": f"https://clips.example/embed/{code}",
        "thumbnail_url": "",
        "creator_name": viewer.values["username"],
        "creator_id": viewer.values["twitch_id"],
        "duration_seconds": source.between(5, 60),
        "created_at_twitch": clipped,
    }
    return Row("twitchbot_clips", values | source.times(clipped))


def _command(source: Source, name: str) -> Row:
    values: dict[str, object] = {
        "id": source.id(),
        "name": name,
        "description": "",
        "response": f"the answer to !{name}",
        "last_used": None,
    }
    return Row("twitchbot_commands", values | source.times(source.ago(100 * DAY, 300 * DAY)))


def _streams(source: Source) -> Iterator[Row]:
    chat_only = _stream(source, started=source.ago(400 * DAY, 500 * DAY), active=True)
    yield Row(
        chat_only.table,
        chat_only.values | {"id": CHAT_ONLY_STREAM, "title": "Chat-Only Messages", "game_name": ""},
    )
    for _ in range(5):  # the bot stopped before the stream ended: due
        yield _stream(source, started=source.ago(26 * HOUR, 9 * DAY), active=True)
    for _ in range(2):  # live
        stream = _stream(source, started=source.ago(25 * HOUR, 40 * HOUR), active=True)
        stream.values["updated_at"] = source.ago(MINUTE, 5 * MINUTE)
        yield stream
    for _ in range(3):  # not due, because deleted
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
    for _ in range(260):  # cleanup deletes these
        yield _message(source, viewers, streams, created=source.ago(91 * DAY, 380 * DAY))
    for _ in range(20):  # and these, which are soft-deleted
        message = _message(source, viewers, streams, created=source.ago(91 * DAY, 380 * DAY))
        message.values["deleted_at"] = source.ago(DAY, 90 * DAY)
        yield message
    for _ in range(500):
        yield _message(source, viewers, streams, created=source.ago(MINUTE, 89 * DAY))
    for _ in range(10):  # sent long ago, imported lately: not due
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
            "display_name": viewer["display_name"],
            "message": f"look, a {source.name()}!",
            "is_moderator": source.between(1, 20) == 1,
            "is_subscriber": source.between(1, 4) == 1,
            "is_v_ip": False,
            "is_broadcaster": False,
            "sent_at": created,
            "created_at": created,
            "deleted_at": None,
        },
    )
