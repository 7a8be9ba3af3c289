"""The live tables of warcraft: the columns that its schedulers use; and their own tables."""

from common.database import BIGINT, JSON, TEXT, TIME, UUID, Table, TableAccess

CHARACTERS = Table(
    "characters",
    {
        "id": UUID,
        "name": TEXT,
        "realm": TEXT,
        "region": TEXT,
        "updated_at": TIME,
        "deleted_at": TIME,
    },
)
DETAILS = Table(
    "character_details",
    {
        "character_id": UUID,
        "display_name": TEXT,
        "display_realm": TEXT,
        "level": BIGINT,
        "item_level": BIGINT,
        "class_id": UUID,
        "race_id": UUID,
        "faction_id": UUID,
        "guild_id": UUID,
        "thumbnail_url": TEXT,
        "achievement_points": BIGINT,
        "last_synced_at": TIME,
        "created_at": TIME,
        "updated_at": TIME,
    },
)
EQUIPMENT = Table(
    "character_equipment",
    {"character_id": UUID, "equipment_json": JSON, "created_at": TIME, "updated_at": TIME},
)
STATS = Table(
    "character_stats",
    {"character_id": UUID, "stats_json": JSON, "created_at": TIME, "updated_at": TIME},
)
GUILDS = Table(
    "guilds",
    {
        "id": UUID,
        "name": TEXT,
        "realm": TEXT,
        "region": TEXT,
        "faction_id": UUID,
        "member_count": BIGINT,
        "achievement_points": BIGINT,
        "last_synced_at": TIME,
        "updated_at": TIME,
        "deleted_at": TIME,
    },
)

_NAMED = {"id": UUID, "key": TEXT, "name": TEXT, "created_at": TIME, "updated_at": TIME}
FACTIONS = Table("factions", _NAMED)
CLASSES = Table("classes", _NAMED)
RACES = Table("races", {**_NAMED, "faction_id": UUID})


def found_or_created(table: Table) -> TableAccess:
    """What reference_rows.py does with a table of factions, races or classes."""
    columns = tuple(name for name in table.columns if name != "id")
    return TableAccess(table, select=("id", "key"), insert=columns, unique=(("key",),))


# The members of each guild: our own table.
GUILD_MEMBERS = Table("guild_members")
