"""guild-sync: each tracked guild and its members are updated from Battle.net.

Due: guilds, not deleted, never synced or not within 90 % of the interval, and not waiting for a
retry after a failure; the stalest first. Changes, in one transaction per guild: ``guilds``, its
``guild_members`` (made equal to the roster; members are identified by realm and name),
``guild_id`` in the ``character_details`` of tracked characters that joined or left, and the
faction if it is new. Event: ``warcraft.guild.synced``. A crash leaves complete guilds; the rest
is still due.
"""

from datetime import datetime

from common import config
from common.database import TableAccess, own_tables
from common.events.envelope import NOW, Event
from common.scheduling import Pass, PassResult, Scheduler
from workers.warcraft import reference_rows
from workers.warcraft.battle_net import client
from workers.warcraft.database_values import storable
from workers.warcraft.guild_replies import Guild, GuildFetcher
from workers.warcraft.sync import Sync, SyncSubject
from workers.warcraft.tables import (
    CHARACTERS,
    DETAILS,
    FACTIONS,
    GUILD_MEMBERS,
    GUILDS,
    found_or_created,
)

INTERVAL = config.interval("GUILD_SYNC_INTERVAL", "12h", "time from one sync of guilds to the next")

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

# Record one guild, and make its members equal to the roster; no change if the guild was deleted
# meanwhile.
RECORD = f"""
WITH synced AS (
    UPDATE guilds SET faction_id = %(faction_id)s, member_count = %(member_count)s,
        achievement_points = %(achievement_points)s, last_synced_at = %(now)s,
        updated_at = %(now)s
    WHERE id = %(id)s AND deleted_at IS NULL
    RETURNING id, name, realm, member_count, achievement_points
), roster AS (
    SELECT synced.id AS guild_id, member.*
    FROM synced, unnest(%(names)s::text[], %(realms)s::text[], %(ranks)s::bigint[],
                        %(levels)s::bigint[], %(classes)s::text[], %(races)s::text[])
         AS member (character_name, character_realm, rank, level, class, race)
), departed AS (
    DELETE FROM guild_members AS member USING synced
    WHERE member.guild_id = synced.id AND NOT EXISTS (
        SELECT FROM roster WHERE roster.character_name = member.character_name
                             AND roster.character_realm = member.character_realm)
    RETURNING 1
), written AS (
    INSERT INTO guild_members AS known (guild_id, character_name, character_realm, rank, level,
                                        class, race, created_at, updated_at)
    SELECT roster.*, %(now)s, %(now)s FROM roster
    ON CONFLICT (guild_id, character_realm, character_name) DO UPDATE SET
        rank = excluded.rank, level = excluded.level, class = excluded.class,
        race = excluded.race, updated_at = excluded.updated_at
        WHERE (known.rank, known.level, known.class, known.race)
              IS DISTINCT FROM (excluded.rank, excluded.level, excluded.class, excluded.race)
    RETURNING 1
), tracked AS (
    SELECT character.id AS character_id, roster.guild_id
    FROM roster JOIN characters AS character
        ON character.name = roster.character_name AND character.realm = roster.character_realm
    WHERE character.deleted_at IS NULL
      AND coalesce(nullif(lower(character.region), ''), %(default_region)s) = %(region)s
), joined AS (
    UPDATE character_details AS details SET guild_id = tracked.guild_id, updated_at = %(now)s
    FROM tracked
    WHERE details.character_id = tracked.character_id
      AND details.guild_id IS DISTINCT FROM tracked.guild_id
    RETURNING 1
), left_it AS (
    UPDATE character_details AS details SET guild_id = NULL, updated_at = %(now)s
    FROM synced
    WHERE details.guild_id = synced.id
      AND details.character_id NOT IN (SELECT character_id FROM tracked)
    RETURNING 1
), announced AS ({SYNCED.insert("synced")})
SELECT (SELECT count(*) FROM announced) AS guilds,
       (SELECT count(*) FROM written) AS members_written,
       (SELECT count(*) FROM departed) AS members_left,
       (SELECT count(*) FROM joined) AS characters_joined,
       (SELECT count(*) FROM left_it) AS characters_left"""


def record(current: Pass, subject: SyncSubject, guild: Guild, now: datetime) -> PassResult:
    """Record one guild, inside a transaction."""
    connection = current.connection
    guild = storable(connection, guild)
    values = {
        "now": now,
        "id": subject.id,
        "region": subject.region,
        "default_region": current.settings[client.REGION],
        "faction_id": reference_rows.faction_id(connection, guild.faction, now),
        "faction_name": guild.faction.name,
        "member_count": guild.member_count,
        "achievement_points": guild.achievement_points,
        "names": [member.name for member in guild.roster],
        "realms": [member.realm for member in guild.roster],
        "ranks": [member.rank for member in guild.roster],
        "levels": [member.level for member in guild.roster],
        "classes": [member.playable_class for member in guild.roster],
        "races": [member.race for member in guild.roster],
    }
    row = connection.execute(RECORD, values).fetchone()
    counts = dict(row or {})
    guilds = counts.pop("guilds")
    return PassResult(processed=guilds, events=guilds, details=counts)


_COUNTED = ("member_count", "achievement_points", "last_synced_at")

TABLES = (
    TableAccess(
        GUILDS,
        select=("id", "name", "realm", "region", "deleted_at", *_COUNTED),
        update=("faction_id", "updated_at", *_COUNTED),
    ),
    TableAccess(CHARACTERS, select=("id", "name", "realm", "region", "deleted_at")),
    TableAccess(DETAILS, select=("character_id", "guild_id"), update=("guild_id", "updated_at")),
    found_or_created(FACTIONS),
    GUILD_MEMBERS,
    own_tables.SETTING_ROWS_ASIDE,
)

SYNC = Sync(
    kind="guild",
    rows="guilds AS guild",
    last_synced="guild.last_synced_at",
    interval=INTERVAL,
    fetch=GuildFetcher,
    record=record,
    tables=TABLES,
    events=(SYNCED,),
)

SCHEDULER = Scheduler(
    name="guild-sync",
    summary="updates guilds and their members from Battle.net",
    enabled=config.boolean(
        "GUILD_SYNC_ENABLED", "true", "whether guilds are synced from Battle.net"
    ),
    interval=INTERVAL,
    work=SYNC.work,
    needs=client.CREDENTIALS,
    remotes=(client.REMOTE,),
)
