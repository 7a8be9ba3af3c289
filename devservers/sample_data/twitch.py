"""Sample rows of twitchbot: viewers, streams and chat messages."""

from collections.abc import Mapping
from uuid import UUID

from devservers.sample_data.source import (
    DAY,
    HOUR,
    MINUTE,
    Row,
    Source,
    Template,
    ago,
    between,
    of,
    one_in,
    one_of,
    text,
)

# Takes the messages while no stream is live: always active, never ended.
CHAT_ONLY_STREAM = UUID("00000000-0000-0000-0000-000000000001")
GAMES = ("Tower of Tea", "Goblin Gardens", "Slow Racer", "World of Warcraft")

STREAM = {
    "title": text("Evening with a {name}"),
    "game_name": one_of(*GAMES),
    "game_id": text("{n}"),
    "peak_viewers": between(400, 800),
    "average_viewers": between(5, 400),
    "total_messages": between(0, 9000),
    "ended_at": None,
    "is_active": True,
}


def add_rows(source: Source) -> None:
    """Viewers, streams and messages, then clips, commands and channel visits."""
    viewers = source.add("twitchbot_viewers", 120, _viewer)
    _add_streams(source)
    _add_messages(source, viewers)
    source.add("twitchbot_clips", 20, _clip(viewers, source.rows["twitchbot_streams"]))
    for name in ("lurk", "socials", "uptime"):
        source.add("twitchbot_commands", name=name, response=f"the answer to !{name}")
    for viewer in viewers:
        visit = {**viewer, "channel": "toxictoast"}
        del visit["id"]
        source.add("twitchbot_channel_viewers", 1, visit)


def _viewer(source: Source) -> Mapping[str, object]:
    number, first_seen = source.number(), source.draw(ago(300 * DAY, 600 * DAY))
    username = f"{source.name().replace(' ', '_')}_{number}"
    return {
        "twitch_id": str(90_000_000 + number),
        "username": username,
        "display_name": username.title(),
        "first_seen": first_seen,
        "last_seen": ago(MINUTE, 300 * DAY),
        "created_at": first_seen,
    }


def _clip(viewers: list[Row], streams: list[Row]) -> Template:
    return {
        "stream_id": of(streams),
        "twitch_clip_id": text("clip{n}"),
        "title": text("The {name}"),
        "url": text("https://clips.example/{n}"),
        "embed_url": text("https://clips.example/embed/{n}"),
        "creator_name": of(viewers, "username"),
        "creator_id": of(viewers, "twitch_id"),
        "duration_seconds": between(5, 60),
        "created_at_twitch": ago(DAY, 300 * DAY),
    }


def _add_streams(source: Source) -> None:
    def add(count: int, started: object, **columns: object) -> None:
        for _ in range(count):
            at = source.draw(started)
            source.add("twitchbot_streams", 1, STREAM, started_at=at, created_at=at, **columns)

    chat_only = {"id": CHAT_ONLY_STREAM, "title": "Chat-Only Messages", "game_name": ""}
    add(1, ago(400 * DAY, 500 * DAY), **chat_only)
    add(5, ago(26 * HOUR, 9 * DAY))  # the bot stopped before the stream ended: due
    add(2, ago(25 * HOUR, 40 * HOUR), updated_at=ago(MINUTE, 5 * MINUTE))  # live
    add(3, ago(10 * DAY, 90 * DAY), deleted_at=ago(HOUR, 9 * DAY))  # not due, because deleted
    add(150, ago(2 * DAY, 390 * DAY), is_active=False, ended_at=ago(HOUR, DAY))


def _add_messages(source: Source, viewers: list[Row]) -> None:
    streams, old = source.rows["twitchbot_streams"], ago(91 * DAY, 380 * DAY)

    def message(source: Source) -> Mapping[str, object]:
        viewer = source.random.choice(viewers)
        return {
            "stream_id": of(streams),
            "user_id": viewer["twitch_id"],
            "username": viewer["username"],
            "display_name": viewer["display_name"],
            "message": text("look, a {name}!"),
            "is_moderator": one_in(20, True, False),
            "is_subscriber": one_in(4, True, False),
            "sent_at": ago(MINUTE, DAY),
        }

    def add(count: int, **columns: object) -> None:
        source.add("twitchbot_messages", count, message, **columns)

    add(260, created_at=old)  # the clean-up deletes these
    add(20, created_at=old, deleted_at=ago(DAY, 90 * DAY))  # and these, which are soft-deleted
    add(500, created_at=ago(MINUTE, 89 * DAY))
    # Sent long ago, imported lately: not due.
    add(10, created_at=ago(DAY, 20 * DAY), sent_at=ago(200 * DAY, 380 * DAY))
