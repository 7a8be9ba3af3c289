"""character-sync: each tracked character is updated from Battle.net.

Due: characters, not deleted, never synced or not within 90 % of the interval, and not waiting
for a retry after a failure; the stalest first. Changes, in one transaction per character:
``character_details`` (with ``guild_id`` if that guild is tracked in the same region, or else
NULL), ``character_equipment`` and ``character_stats`` (their JSON: see character_replies.py),
``characters.updated_at``, and the faction, race and class if they are new. Events:
``warcraft.character.synced``, and ``...equipment.updated`` and ``...stats.updated`` if they have
changed. A crash leaves complete characters; the rest is still due.
"""

from datetime import datetime

from common import config
from common.database import TableAccess, own_tables
from common.events.envelope import NOW, Event
from common.scheduling import Pass, PassResult, Scheduler
from workers.warcraft import character_replies, reference_rows
from workers.warcraft.battle_net import client
from workers.warcraft.character_replies import Character
from workers.warcraft.database_values import storable, to_jsonb
from workers.warcraft.sync import Sync, SyncSubject
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

INTERVAL = config.interval(
    "CHARACTER_SYNC_INTERVAL", "6h", "time from one sync of characters to the next"
)

SYNCED = Event(
    "warcraft.character.synced",
    key="character_id",
    fields={
        "character_id": "character_id",
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
_CHANGED = {"character_id": "character_id", "name": "name", "updated_at": NOW}
EQUIPMENT_UPDATED = Event(
    "warcraft.character.equipment.updated", key="character_id", fields=_CHANGED
)
STATS_UPDATED = Event("warcraft.character.stats.updated", key="character_id", fields=_CHANGED)

# Record one character and announce it; no change if it was deleted meanwhile. The picture is kept
# if Battle.net has none any more.
RECORD = f"""
WITH touched AS (
    UPDATE characters SET updated_at = %(now)s
    WHERE id = %(id)s AND deleted_at IS NULL
    RETURNING id AS character_id, name, realm
), guild AS (
    SELECT id FROM guilds
    WHERE name = %(guild_name)s AND realm = %(guild_realm)s AND deleted_at IS NULL
      AND coalesce(nullif(lower(region), ''), %(default_region)s) = %(region)s
), details AS (
    INSERT INTO character_details AS known (
        character_id, display_name, display_realm, level, item_level, class_id, race_id,
        faction_id, guild_id, thumbnail_url, achievement_points, last_synced_at, created_at,
        updated_at)
    SELECT character_id, %(display_name)s, %(display_realm)s, %(level)s, %(item_level)s,
           %(class_id)s, %(race_id)s, %(faction_id)s, (SELECT id FROM guild LIMIT 1), %(avatar)s,
           %(achievement_points)s, %(now)s, %(now)s, %(now)s
    FROM touched
    ON CONFLICT (character_id) DO UPDATE SET
        display_name = excluded.display_name, display_realm = excluded.display_realm,
        level = excluded.level, item_level = excluded.item_level, class_id = excluded.class_id,
        race_id = excluded.race_id, faction_id = excluded.faction_id,
        guild_id = excluded.guild_id,
        thumbnail_url = coalesce(excluded.thumbnail_url, known.thumbnail_url),
        achievement_points = excluded.achievement_points,
        last_synced_at = excluded.last_synced_at, updated_at = excluded.updated_at
    RETURNING character_id, level, item_level, achievement_points
), equipment AS (
    INSERT INTO character_equipment AS known (character_id, equipment_json, created_at, updated_at)
    SELECT character_id, %(equipment)s, %(now)s, %(now)s FROM touched
    ON CONFLICT (character_id) DO UPDATE SET
        equipment_json = excluded.equipment_json, updated_at = excluded.updated_at
        WHERE known.equipment_json IS DISTINCT FROM excluded.equipment_json
    RETURNING character_id
), stats AS (
    INSERT INTO character_stats AS known (character_id, stats_json, created_at, updated_at)
    SELECT character_id, %(stats)s, %(now)s, %(now)s FROM touched
    ON CONFLICT (character_id) DO UPDATE SET
        stats_json = excluded.stats_json, updated_at = excluded.updated_at
        WHERE known.stats_json IS DISTINCT FROM excluded.stats_json
    RETURNING character_id
), synced AS (
    SELECT * FROM touched JOIN details USING (character_id)
), new_equipment AS (
    SELECT * FROM touched JOIN equipment USING (character_id)
), new_stats AS (
    SELECT * FROM touched JOIN stats USING (character_id)
), announced_sync AS ({SYNCED.insert("synced")}
), announced_equipment AS ({EQUIPMENT_UPDATED.insert("new_equipment")}
), announced_stats AS ({STATS_UPDATED.insert("new_stats")})
SELECT (SELECT count(*) FROM announced_sync) AS characters,
       (SELECT count(*) FROM announced_equipment) AS equipment_changed,
       (SELECT count(*) FROM announced_stats) AS stats_changed"""


def record(current: Pass, subject: SyncSubject, character: Character, now: datetime) -> PassResult:
    """Record one character, inside a transaction."""
    connection = current.connection
    character = storable(connection, character)
    profile = character.profile
    faction_id = reference_rows.faction_id(connection, profile.faction, now)
    guild_name, guild_realm = profile.guild or (None, None)
    values = {
        "now": now,
        "id": subject.id,
        "region": subject.region,
        "default_region": current.settings[client.REGION],
        "guild_name": guild_name,
        "guild_realm": guild_realm,
        "display_name": profile.display_name,
        "display_realm": profile.display_realm,
        "level": profile.level,
        "item_level": profile.item_level,
        "class_id": reference_rows.class_id(connection, profile.playable_class, now),
        "race_id": reference_rows.race_id(connection, profile.race, faction_id, now),
        "faction_id": faction_id,
        "class_name": profile.playable_class.name,
        "race_name": profile.race.name,
        "faction_name": profile.faction.name,
        "avatar": character.avatar,
        "achievement_points": profile.achievement_points,
        "equipment": to_jsonb(character.equipment),
        "stats": to_jsonb(character.stats),
    }
    row = connection.execute(RECORD, values).fetchone()
    counts = dict(row or {})
    changed = {name: counts[name] for name in ("equipment_changed", "stats_changed")}
    return PassResult(processed=counts["characters"], events=sum(counts.values()), details=changed)


_SYNCED = tuple(name for name in DETAILS.columns if name not in ("character_id", "created_at"))

TABLES = (
    TableAccess(
        CHARACTERS, select=("id", "name", "realm", "region", "deleted_at"), update=("updated_at",)
    ),
    TableAccess(GUILDS, select=("id", "name", "realm", "region", "deleted_at")),
    TableAccess(
        DETAILS,
        select=("character_id", *_SYNCED),
        insert=tuple(DETAILS.columns),
        update=_SYNCED,
        unique=(("character_id",),),
    ),
    *(
        TableAccess(
            table,
            select=("character_id", document, "updated_at"),
            insert=tuple(table.columns),
            update=(document, "updated_at"),
            unique=(("character_id",),),
        )
        for table, document in ((EQUIPMENT, "equipment_json"), (STATS, "stats_json"))
    ),
    *map(found_or_created, (FACTIONS, RACES, CLASSES)),
    own_tables.SETTING_ROWS_ASIDE,
)

SYNC = Sync(
    kind="character",
    rows="""characters AS character
LEFT JOIN character_details AS details ON details.character_id = character.id""",
    last_synced="details.last_synced_at",
    interval=INTERVAL,
    fetch=character_replies.fetch,
    record=record,
    tables=TABLES,
    events=(SYNCED, EQUIPMENT_UPDATED, STATS_UPDATED),
)

SCHEDULER = Scheduler(
    name="character-sync",
    summary="updates characters from Battle.net",
    enabled=config.boolean(
        "CHARACTER_SYNC_ENABLED", "true", "whether characters are synced from Battle.net"
    ),
    interval=INTERVAL,
    work=SYNC.work,
    needs=client.CREDENTIALS,
    remotes=(client.REMOTE,),
)
