"""character-sync: each tracked character is updated from Battle.net.

Due: characters, not deleted, never synced or not within 90 % of the interval, and not waiting
for a retry after a failure; the stalest first. Changes, in one transaction per character:
``character_details`` (with ``guild_id`` if that guild is tracked in the same region, or else
NULL), ``character_equipment`` and ``character_stats`` (their JSON: see character_replies.py),
``characters.updated_at``, and the faction, race and class if they are new. What Battle.net does not
tell stays as it is stored; a new character gets 0 for a number, as in the live service. Events:
``warcraft.character.synced``, and ``...equipment.updated`` and ``...stats.updated`` if they have
changed. A crash leaves complete characters; the rest is still due.
"""

import json
from dataclasses import asdict
from datetime import datetime
from functools import partial
from typing import Any

from psycopg.types.json import Jsonb

from common import config
from common.database import TableAccess
from common.database.session import Session
from common.events.envelope import NOW, Event
from workers.warcraft import reference_rows
from workers.warcraft.character_replies import Character, CharacterFetcher, Profile
from workers.warcraft.due_subjects import region_of
from workers.warcraft.sync import Sync
from workers.warcraft.tables import (
    CHARACTERS,
    CLASSES,
    DETAILS,
    EQUIPMENT,
    FACTIONS,
    GUILDS,
    RACES,
    STATS,
    found_or_created,
)
from workers.warcraft.upsert import Upsert

SYNCED = Event(
    "warcraft.character.synced",
    key="character_id",
    fields={
        "character_id": "id",
        "name": "name",
        "realm": "realm",
        "region": "%(region)s::text",
        "level": "level",
        "item_level": "item_level",
        "class_name": "%(class_name)s::text",
        "race_name": "%(race_name)s::text",
        "faction_name": "%(faction_name)s::text",
        "achievement_points": "achievement_points",
        "synced_at": NOW,
    },
)
_CHANGED = {"character_id": "id", "name": "name", "updated_at": NOW}
EQUIPMENT_UPDATED = Event(
    "warcraft.character.equipment.updated", key="character_id", fields=_CHANGED
)
STATS_UPDATED = Event("warcraft.character.stats.updated", key="character_id", fields=_CHANGED)

# Columns that keep what is stored if Battle.net does not tell it, and what a new row then gets.
_KEPT = {
    "display_name": "subject.name",
    "display_realm": "subject.realm",
    **dict.fromkeys(("level", "item_level", "achievement_points"), "0"),
    **dict.fromkeys(("class_id", "race_id", "faction_id", "thumbnail_url"), "NULL"),
}
_DETAILS = Upsert(
    DETAILS,
    "subject LEFT JOIN character_details AS stored ON stored.character_id = subject.id",
    key=("character_id",),
    values={
        **{
            name: f"coalesce(%({name})s, stored.{name}, {default})"
            for name, default in _KEPT.items()
        },
        "character_id": "subject.id",
        "guild_id": f"""coalesce((
            SELECT guild.id FROM guilds AS guild
            WHERE ARRAY[guild.name, lower(guild.name)] && %(guild_names)s::text[]
              AND ARRAY[guild.realm, lower(guild.realm)] && %(guild_realms)s::text[]
              AND guild.deleted_at IS NULL AND {region_of("guild")} = %(region)s
            ORDER BY guild.name <> %(guild_name)s, guild.realm <> %(guild_realm)s, guild.id
            LIMIT 1), CASE WHEN %(keeps_guild)s THEN stored.guild_id END)""",
        "last_synced_at": "%(now)s",
    },
    always=True,
)
_EQUIPMENT, _STATS = (
    Upsert(
        table,
        f"subject WHERE %({column})s::jsonb IS NOT NULL",
        key=("character_id",),
        values={"character_id": "id"},
    )
    for table, column in ((EQUIPMENT, "equipment_json"), (STATS, "stats_json"))
)

_ANNOUNCED = "USING (id) WHERE %(is_announced)s"

# Record one character and announce it.
RECORD = f"""
, details AS ({_DETAILS.sql}
    RETURNING character_id AS id, level, item_level, achievement_points
), equipment AS ({_EQUIPMENT.sql}
    RETURNING character_id AS id
), stats AS ({_STATS.sql}
    RETURNING character_id AS id
), announced_sync AS ({SYNCED.insert(f"subject JOIN details {_ANNOUNCED}")}
), announced_equipment AS ({EQUIPMENT_UPDATED.insert(f"subject JOIN equipment {_ANNOUNCED}")}
), announced_stats AS ({STATS_UPDATED.insert(f"subject JOIN stats {_ANNOUNCED}")}
)
SELECT (SELECT count(*) FROM details) AS processed,
       (SELECT count(*) FROM equipment) AS equipment_changed,
       (SELECT count(*) FROM stats) AS stats_changed,
       (SELECT count(*) FROM announced_sync) + (SELECT count(*) FROM announced_equipment)
           + (SELECT count(*) FROM announced_stats) AS events"""


def values(connection: Session, character: Character, now: datetime) -> dict[str, Any]:
    """The parameters of RECORD; creates the faction, race and class if they are new."""
    profile, guild = character.profile, character.guild
    return {
        **asdict(profile),
        **_references(connection, profile, now),
        "guild_name": guild and guild.name,
        "guild_realm": guild and guild.realm,
        "guild_names": guild.names if guild else [],
        "guild_realms": guild.realms if guild else [],
        "keeps_guild": profile.has_guild and guild is None,
        "thumbnail_url": character.avatar,
        "equipment_json": _jsonb(character.equipment),
        "stats_json": _jsonb(character.stats),
    }


def _references(connection: Session, profile: Profile, now: datetime) -> dict[str, Any]:
    faction, playable_class = profile.faction, profile.playable_class
    faction_id = faction and reference_rows.faction_id(connection, faction, now)
    race = profile.race if faction_id else None  # a new race needs its faction
    return {
        "faction_id": faction_id,
        # The API's type of the faction, such as HORDE, as in the live service.
        "faction_name": faction and faction.key.upper(),
        "race_id": race
        and faction_id
        and reference_rows.race_id(connection, race, faction_id, now),
        "race_name": race and race.name,
        "class_id": playable_class and reference_rows.class_id(connection, playable_class, now),
        "class_name": playable_class and playable_class.name,
    }


def _jsonb(value: object) -> Jsonb | None:
    """The value as jsonb, None as NULL; not in ASCII: most encodings reject \\u escapes."""
    return None if value is None else Jsonb(value, dumps=partial(json.dumps, ensure_ascii=False))


SCHEDULER = Sync(
    kind="character",
    table=CHARACTERS,
    joined="LEFT JOIN character_details AS details ON details.character_id = character.id",
    last_synced="details.last_synced_at",
    interval=config.interval(
        "CHARACTER_SYNC_INTERVAL", "6h", "time from one sync of characters to the next", bare="h"
    ),
    enabled=config.boolean(
        "CHARACTER_SYNC_ENABLED", "true", "whether characters are synced from Battle.net"
    ),
    summary="updates characters from Battle.net",
    fetch=CharacterFetcher,
    record=RECORD,
    values=values,
    others=(
        TableAccess.reading(GUILDS, "guild", RECORD),
        *(upsert.access for upsert in (_DETAILS, _EQUIPMENT, _STATS)),
        *map(found_or_created, (FACTIONS, RACES, CLASSES)),
    ),
    events=(SYNCED, EQUIPMENT_UPDATED, STATS_UPDATED),
).scheduler
