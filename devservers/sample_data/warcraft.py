"""Sample rows of warcraft: guilds, characters and their last sync."""

from psycopg.types.json import Jsonb

from devservers.sample_data.source import (
    DAY,
    HOUR,
    NOUNS,
    Row,
    Source,
    ago,
    between,
    of,
    one_in,
    one_of,
)

FACTIONS = ("Alliance", "Horde")
RACES = (("Human", "Alliance"), ("Night Elf", "Alliance"), ("Orc", "Horde"), ("Tauren", "Horde"))
CLASSES = ("Mage", "Warrior", "Death Knight", "Druid")
REALM = one_of("silvermoon", "argent-dawn", "blackhand")
SYNCED = ago(HOUR, 9 * DAY)


def add_rows(source: Source) -> None:
    """The seven warcraft tables; no table holds guild members."""
    factions = {name: _named(source, "factions", name)["id"] for name in FACTIONS}
    for name, faction in RACES:
        _named(source, "races", name, faction_id=factions[faction])
    for name in CLASSES:
        _named(source, "classes", name)
    for _ in range(20):
        source.add(
            "guilds",
            name=f"{source.name().title()} {source.number()}",
            realm=REALM,
            region="eu",
            faction_id=one_of(*factions.values()),
            member_count=between(3, 300),
            achievement_points=between(0, 3000),
            last_synced_at=ago(HOUR, 3 * DAY),
        )
    for _ in range(150):
        _add_character(source)


def _named(source: Source, table: str, name: str, **columns: object) -> Row:
    [row] = source.add(table, key=name.lower().replace(" ", "-"), name=name, **columns)
    return row


def _add_character(source: Source) -> None:
    letters = "".join(chr(ord("a") + int(digit)) for digit in str(source.number()))
    [character] = source.add(
        "characters",
        name=f"{source.random.choice(NOUNS)}{letters}",
        realm=REALM,
        region="eu",
        deleted_at=one_in(20, ago(HOUR, 90 * DAY), None),
    )
    race, synced = source.random.choice(source.rows["races"]), source.draw(SYNCED)
    source.add(
        "character_details",
        character_id=character["id"],
        display_name=character["name"].title(),
        display_realm=character["realm"].replace("-", " ").title(),
        level=between(1, 80),
        item_level=between(1, 640),
        class_id=of(source.rows["classes"]),
        race_id=race["id"],
        faction_id=race["faction_id"],
        guild_id=one_in(3, None, of(source.rows["guilds"])),
        achievement_points=between(0, 30_000),
        last_synced_at=synced,
        created_at=synced,
    )
    items = {slot: {"name": source.name().title()} for slot in ("head", "chest", "feet")}
    stats = {name: source.draw(between(10, 9000)) for name in ("strength", "agility", "stamina")}
    for table, snapshot in (
        ("character_equipment", {"equipment_json": Jsonb(items)}),
        ("character_stats", {"stats_json": Jsonb(stats)}),
    ):
        source.add(table, 1, snapshot, character_id=character["id"], created_at=SYNCED)
