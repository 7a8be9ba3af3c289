"""character-sync: each tracked character is updated from Battle.net.

Due: characters, not deleted, never synced or not within 90 % of the interval, and not waiting
for a retry after a failure; the stalest first. Changes, in one transaction per character:
``character_details`` (with ``guild_id`` if that guild is tracked in the same region, or else
NULL), ``character_equipment`` and ``character_stats`` (their JSON: see character_replies.py),
``characters.updated_at``, and the faction, race and class if they are new. Events:
``warcraft.character.synced``, and ``...equipment.updated`` and ``...stats.updated`` if they have
changed. A crash leaves complete characters; the rest is still due.
"""

from dataclasses import asdict
from datetime import datetime
from typing import Any

from common import config
from common.database import TableAccess
from common.database.session import Session
from common.events.envelope import NOW, Event
from workers.warcraft import character_replies, reference_rows
from workers.warcraft.character_replies import Character
from workers.warcraft.database_values import to_jsonb
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

_DETAILS = Upsert(
    DETAILS,
    "subject",
    key=("character_id",),
    values={
        "character_id": "id",
        "guild_id": f"""(
            SELECT guild.id FROM guilds AS guild
            WHERE guild.name = %(guild_name)s AND guild.realm = %(guild_realm)s
              AND guild.deleted_at IS NULL AND {region_of("guild")} = %(region)s
            LIMIT 1)""",
        # The picture is kept if Battle.net has none any more.
        "thumbnail_url": """coalesce(%(avatar)s, (
            SELECT thumbnail_url FROM character_details WHERE character_id = subject.id))""",
        "last_synced_at": "%(now)s",
    },
    always=True,
)
_EQUIPMENT, _STATS = (
    Upsert(table, "subject", key=("character_id",), values={"character_id": "id"})
    for table in (EQUIPMENT, STATS)
)

_TOLD = "WHERE %(is_announced)s"

# Record one character and announce it.
RECORD = f"""
, details AS ({_DETAILS.sql}
    RETURNING character_id AS id, level, item_level, achievement_points
), equipment AS ({_EQUIPMENT.sql}
    RETURNING character_id AS id
), stats AS ({_STATS.sql}
    RETURNING character_id AS id
), announced_sync AS ({SYNCED.insert(f"subject JOIN details USING (id) {_TOLD}")}
), announced_equipment AS ({EQUIPMENT_UPDATED.insert(f"subject JOIN equipment USING (id) {_TOLD}")}
), announced_stats AS ({STATS_UPDATED.insert(f"subject JOIN stats USING (id) {_TOLD}")}
)
SELECT (SELECT count(*) FROM details) AS processed,
       (SELECT count(*) FROM equipment) AS equipment_changed,
       (SELECT count(*) FROM stats) AS stats_changed,
       (SELECT count(*) FROM announced_sync) + (SELECT count(*) FROM announced_equipment)
           + (SELECT count(*) FROM announced_stats) AS events"""


def values(connection: Session, character: Character, now: datetime) -> dict[str, Any]:
    """The parameters of RECORD; creates the faction, race and class if they are new."""
    profile = character.profile
    faction_id = reference_rows.faction_id(connection, profile.faction, now)
    guild_name, guild_realm = profile.guild or (None, None)
    return {
        **asdict(profile),
        "guild_name": guild_name,
        "guild_realm": guild_realm,
        "class_id": reference_rows.class_id(connection, profile.playable_class, now),
        "race_id": reference_rows.race_id(connection, profile.race, faction_id, now),
        "faction_id": faction_id,
        "class_name": profile.playable_class.name,
        "race_name": profile.race.name,
        "faction_name": profile.faction.name,
        "avatar": character.avatar,
        "equipment_json": to_jsonb(character.equipment),
        "stats_json": to_jsonb(character.stats),
    }


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
    fetch=character_replies.fetch,
    record=RECORD,
    values=values,
    others=(
        TableAccess.reading(GUILDS, "guild", RECORD),
        *(upsert.access for upsert in (_DETAILS, _EQUIPMENT, _STATS)),
        *map(found_or_created, (FACTIONS, RACES, CLASSES)),
    ),
    events=(SYNCED, EQUIPMENT_UPDATED, STATS_UPDATED),
).scheduler
