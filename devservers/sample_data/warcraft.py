"""Sample rows of warcraft: guilds, characters and their last sync."""

from collections.abc import Iterator

from psycopg.types.json import Jsonb

from devservers.sample_data.source import DAY, HOUR, NOUNS, Row, Source

FACTIONS = ("Alliance", "Horde")
RACES = (("Human", "Alliance"), ("Night Elf", "Alliance"), ("Orc", "Horde"), ("Tauren", "Horde"))
CLASSES = ("Mage", "Warrior", "Death Knight", "Druid")
REALMS = ("silvermoon", "argent-dawn", "blackhand")


def rows(source: Source) -> Iterator[Row]:
    """The seven warcraft tables; no table holds guild members."""
    factions = {name: _named(source, "factions", name) for name in FACTIONS}
    races = [
        _named(source, "races", name, faction_id=factions[faction].id) for name, faction in RACES
    ]
    classes = [_named(source, "classes", name) for name in CLASSES]
    guilds = [_guild(source, source.one_of(list(factions.values()))) for _ in range(20)]
    characters = [_character(source) for _ in range(150)]
    yield from (*factions.values(), *races, *classes, *guilds, *characters)
    for character in characters:
        yield _details(source, character, source.one_of(races), classes, guilds)
    yield from (_equipment(source, character) for character in characters)
    yield from (_stats(source, character) for character in characters)


def _named(source: Source, table: str, name: str, **columns: object) -> Row:
    times = source.times(source.ago(300 * DAY, 600 * DAY))
    del times["deleted_at"]
    key = name.lower().replace(" ", "-")
    return Row(table, {"id": source.id(), "key": key, "name": name, **columns, **times})


def _guild(source: Source, faction: Row) -> Row:
    values: dict[str, object] = {
        "id": source.id(),
        "name": f"{source.name().title()} {source.number()}",
        "realm": source.one_of(REALMS),
        "region": "eu",
        "faction_id": faction.id,
        "member_count": source.between(3, 300),
        "achievement_points": source.between(0, 3000),
        "last_synced_at": source.ago(HOUR, 3 * DAY),
    }
    return Row("guilds", values | source.times(source.ago(100 * DAY, 300 * DAY)))


def _character(source: Source) -> Row:
    number = source.number()
    letters = "".join(chr(ord("a") + int(digit)) for digit in str(number))
    deleted = source.ago(HOUR, 90 * DAY) if source.between(1, 20) == 1 else None
    values: dict[str, object] = {
        "id": source.id(),
        "name": f"{source.one_of(NOUNS)}{letters}",
        "realm": source.one_of(REALMS),
        "region": "eu",
    }
    return Row("characters", values | source.times(source.ago(100 * DAY, 300 * DAY), deleted))


def _details(
    source: Source, character: Row, race: Row, classes: list[Row], guilds: list[Row]
) -> Row:
    in_guild = source.between(1, 3) > 1
    synced = source.ago(HOUR, 9 * DAY)
    values: dict[str, object] = {
        "id": source.id(),
        "character_id": character.id,
        "display_name": str(character.values["name"]).title(),
        "display_realm": str(character.values["realm"]).replace("-", " ").title(),
        "level": source.between(1, 80),
        "item_level": source.between(1, 640),
        "class_id": source.one_of(classes).id,
        "race_id": race.id,
        "faction_id": race.values["faction_id"],
        "guild_id": source.one_of(guilds).id if in_guild else None,
        "thumbnail_url": None,
        "achievement_points": source.between(0, 30_000),
        "last_synced_at": synced,
        "created_at": synced,
        "updated_at": synced,
    }
    return Row("character_details", values)


def _equipment(source: Source, character: Row) -> Row:
    items = {slot: {"name": source.name().title()} for slot in ("head", "chest", "feet")}
    return _snapshot(source, "character_equipment", character, equipment_json=Jsonb(items))


def _stats(source: Source, character: Row) -> Row:
    stats = {name: source.between(10, 9000) for name in ("strength", "agility", "stamina")}
    return _snapshot(source, "character_stats", character, stats_json=Jsonb(stats))


def _snapshot(source: Source, table: str, character: Row, **columns: object) -> Row:
    seen = source.ago(HOUR, 9 * DAY)
    values: dict[str, object] = {"id": source.id(), "character_id": character.id}
    return Row(table, {**values, **columns, "created_at": seen, "updated_at": seen})
