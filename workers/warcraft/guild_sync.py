"""guild-sync: each tracked guild and its members are updated from Battle.net.

Due: guilds, not deleted, never synced or not within 90 % of the interval, and not waiting for a
retry after a failure; the stalest first. Changes, in one transaction per guild: ``guilds``, its
``guild_members`` (made equal to the roster; members are identified by realm and name),
``guild_id`` in the ``character_details`` of tracked characters that joined or left, and the
faction if it is new. What Battle.net does not tell stays as it is stored; while it does not tell
who all the members are, none is removed. Event: ``warcraft.guild.synced``. A crash leaves complete
guilds; the rest is still due.
"""

from dataclasses import fields, replace
from datetime import datetime
from typing import Any

from common import config
from common.database import TableAccess
from common.database.session import Session
from common.events.envelope import NOW, Event
from workers.warcraft import reference_rows
from workers.warcraft.due_subjects import region_of
from workers.warcraft.guild_replies import Guild, GuildFetcher, Member
from workers.warcraft.sync import Sync
from workers.warcraft.tables import (
    CHARACTERS,
    DETAILS,
    FACTIONS,
    GUILD_MEMBERS,
    GUILDS,
    found_or_created,
)
from workers.warcraft.upsert import Upsert

SYNCED = Event(
    "warcraft.guild.synced",
    key="guild_id",
    fields={
        "guild_id": "id",
        "name": "name",
        "realm": "realm",
        "region": "%(region)s::text",
        "faction": "%(faction_name)s::text",
        "member_count": "member_count",
        "achievement_points": "achievement_points",
        "synced_at": NOW,
    },
)

# What Battle.net may not tell of a member.
_KEPT = ("rank", "level", "class", "race")
_MEMBERS = Upsert(
    GUILD_MEMBERS,
    # A new member whose rank or level is unknown is written when they are known.
    "roster WHERE rank IS NOT NULL AND level IS NOT NULL",
    key=("guild_id", "character_realm", "character_name"),
    values={name: name for name in ("guild_id", "character_realm", "character_name", *_KEPT)},
)

# Make the members equal to the roster, and announce the guild.
RECORD = f"""
, roster AS (
    SELECT subject.id AS guild_id, reply.character_name, reply.character_realm,
           {", ".join(f"coalesce(reply.{column}, stored.{column}) AS {column}" for column in _KEPT)}
    FROM subject CROSS JOIN unnest(
        %(name)s::text[], %(realm)s::text[], %(rank)s::bigint[], %(level)s::bigint[],
        %(playable_class)s::text[], %(race)s::text[]
    ) AS reply (character_name, character_realm, rank, level, class, race)
    LEFT JOIN guild_members AS stored
        ON stored.guild_id = subject.id AND stored.character_name = reply.character_name
        AND stored.character_realm = reply.character_realm
), departed AS (
    DELETE FROM guild_members AS member USING subject
    WHERE %(is_whole)s AND member.guild_id = subject.id AND NOT EXISTS (
        SELECT FROM roster WHERE roster.character_name = member.character_name
                             AND roster.character_realm = member.character_realm)
    RETURNING 1
), written AS ({_MEMBERS.sql}
    RETURNING 1
), tracked AS (
    SELECT DISTINCT character.id AS character_id, roster.guild_id
    FROM roster
    JOIN unnest(%(slugs)s::text[], %(spellings)s::text[]) AS realm (slug, spelling)
        ON realm.slug = roster.character_realm
    JOIN characters AS character
        ON lower(character.name) = roster.character_name
        AND realm.spelling IN (character.realm, lower(character.realm))
    WHERE character.deleted_at IS NULL AND {region_of("character")} = %(region)s
), joined AS (
    UPDATE character_details AS details SET guild_id = tracked.guild_id, updated_at = %(now)s
    FROM tracked
    WHERE details.character_id = tracked.character_id
      AND details.guild_id IS DISTINCT FROM tracked.guild_id
    RETURNING 1
), left_it AS (
    UPDATE character_details AS details SET guild_id = NULL, updated_at = %(now)s
    FROM subject
    WHERE %(is_whole)s AND details.guild_id = subject.id
      AND details.character_id NOT IN (SELECT character_id FROM tracked)
    RETURNING 1
), announced AS ({SYNCED.insert("subject WHERE %(is_announced)s")})
SELECT (SELECT count(*) FROM subject) AS processed,
       (SELECT count(*) FROM announced) AS events,
       (SELECT count(*) FROM written) AS members_written,
       (SELECT count(*) FROM departed) AS members_left,
       (SELECT count(*) FROM joined) AS characters_joined,
       (SELECT count(*) FROM left_it) AS characters_left"""


def values(connection: Session, guild: Guild, now: datetime) -> dict[str, Any]:
    """The parameters of RECORD; creates the faction if it is new."""
    faction, roster = guild.faction, guild.roster
    return {
        "faction_id": faction and reference_rows.faction_id(connection, faction, now),
        "faction_name": faction and faction.name,
        "member_count": guild.member_count,
        "achievement_points": guild.achievement_points,
        **{
            field.name: [getattr(member, field.name) for member in roster.members]
            for field in fields(Member)
        },
        "slugs": [slug for slug, _ in roster.spellings],
        "spellings": [spelling for _, spelling in roster.spellings],
        "is_whole": roster.is_whole,
    }


SCHEDULER = Sync(
    kind="guild",
    table=GUILDS,
    changes={
        "faction_id": "coalesce(%(faction_id)s, faction_id)",
        "member_count": "coalesce(%(member_count)s, member_count)",
        "achievement_points": "coalesce(%(achievement_points)s, achievement_points)",
        "last_synced_at": "%(now)s",
    },
    last_synced="guild.last_synced_at",
    interval=config.interval(
        "GUILD_SYNC_INTERVAL", "12h", "time from one sync of guilds to the next", bare="h"
    ),
    enabled=config.boolean(
        "GUILD_SYNC_ENABLED", "true", "whether guilds are synced from Battle.net"
    ),
    summary="updates guilds and their members from Battle.net",
    fetch=GuildFetcher,
    record=RECORD,
    values=values,
    others=(
        TableAccess.reading(CHARACTERS, "character", RECORD),
        replace(TableAccess.reading(DETAILS, "details", RECORD), update=("guild_id", "updated_at")),
        found_or_created(FACTIONS),
        replace(_MEMBERS.access, delete=True),
    ),
    events=(SYNCED,),
).scheduler
