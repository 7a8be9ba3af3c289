"""Battle.net's replies about one character, reduced to what is stored.

``character_equipment.equipment_json`` is the list of the items worn, by slot, each as:
    {"slot": {"type", "name"}, "item": {"id"}, "name",
     "quality": {"type", "name"}, "level": {"value", "display_string"}}
``character_stats.stats_json`` is one object:
    "health", "power", "versatility", "attack_power", "spell_power", "spell_penetration":
        numbers
    "power_type": {"id", "name"}
    "strength", "agility", "intellect", "stamina", "armor": {"base", "effective"}
    "melee_crit", "melee_haste", "mastery", "spell_crit", "dodge", "parry", "block":
        {"rating_normalized", "rating_bonus", "value"}
These are the API's own objects without the other fields. What Battle.net may leave out is
missing here too: an item's quality and level, numbers other than health, ratings.
"""

from dataclasses import dataclass
from typing import Any

from workers.warcraft.battle_net.addresses import character_path
from workers.warcraft.battle_net.client import BattleNet
from workers.warcraft.battle_net.errors import NotFound
from workers.warcraft.battle_net.json_reader import Reader
from workers.warcraft.due_subjects import SyncSubject
from workers.warcraft.reference_rows import Reference
from workers.warcraft.sync import Fetch

_NUMBERS = ("power", "versatility", "attack_power", "spell_power", "spell_penetration")
_ATTRIBUTES = ("strength", "agility", "intellect", "stamina", "armor")
_RATINGS = ("melee_crit", "melee_haste", "mastery", "spell_crit", "dodge", "parry", "block")
_RATING_PARTS = ("rating_normalized", "rating_bonus", "value")


@dataclass(frozen=True, slots=True)
class Profile:
    """The character itself; its guild by name and realm slug, None without one."""

    display_name: str
    display_realm: str
    level: int
    item_level: int
    achievement_points: int
    faction: Reference
    race: Reference
    playable_class: Reference
    guild: tuple[str, str] | None


@dataclass(frozen=True, slots=True)
class Character:
    """Everything that is recorded of a character; ``avatar`` is a picture's URL."""

    profile: Profile
    equipment: list[dict[str, Any]]
    stats: dict[str, Any]
    avatar: str | None


def fetch(battle_net: BattleNet) -> Fetch[Character]:
    """A function that fetches one character: four requests, one after the other."""

    def fetch_character(subject: SyncSubject) -> Character:
        path = character_path(subject.realm, subject.name)

        def get(part: str, name: str) -> Reader:
            return battle_net.get(subject.region, path + part, name=name)

        profile = read_profile(get("", "profile"))
        equipment = read_equipment(get("/equipment", "equipment"))
        stats = read_stats(get("/statistics", "statistics"))
        try:
            avatar = read_avatar(get("/character-media", "media"))
        except NotFound:
            avatar = None  # Battle.net has no picture of it yet
        return Character(profile, equipment, stats, avatar)

    return fetch_character


def read_profile(reply: Reader) -> Profile:
    faction = reply.object("faction")
    guild = reply.object("guild") if "guild" in reply else None
    return Profile(
        display_name=reply.text("name"),
        display_realm=reply.object("realm").text("name"),
        level=reply.whole("level"),
        item_level=reply.whole("equipped_item_level"),
        achievement_points=reply.whole("achievement_points"),
        faction=Reference(faction.text("type").lower(), faction.text("name")),
        race=Reference.named(reply.object("race").text("name")),
        playable_class=Reference.named(reply.object("character_class").text("name")),
        guild=(guild.text("name"), guild.object("realm").text("slug")) if guild else None,
    )


def read_equipment(reply: Reader) -> list[dict[str, Any]]:
    # Sorted by slot, so that another order of the same items is not a change.
    items = map(_item, reply.objects("equipped_items"))
    return sorted(items, key=lambda item: str(item["slot"]["type"]))


def read_stats(reply: Reader) -> dict[str, Any]:
    stats: dict[str, Any] = {"health": reply.number("health"), **_numbers(reply, _NUMBERS)}
    if "power_type" in reply:
        power_type = reply.object("power_type")
        stats["power_type"] = {"id": power_type.whole("id"), "name": power_type.text("name")}
    for name in _ATTRIBUTES:
        attribute = reply.object(name)
        stats[name] = {part: attribute.number(part) for part in ("base", "effective")}
    for name in _RATINGS:
        if name in reply:
            stats[name] = _numbers(reply.object(name), _RATING_PARTS)
    return stats


def read_avatar(reply: Reader) -> str | None:
    """The avatar's URL; characters not played for long have the format before 2020."""
    if "avatar_url" in reply:
        return reply.text("avatar_url")
    if "assets" in reply:
        for asset in reply.objects("assets"):
            if asset.text("key") == "avatar":
                return asset.text("value")
    return None


def _item(entry: Reader) -> dict[str, Any]:
    slot = entry.object("slot")
    item: dict[str, Any] = {
        "slot": {"type": slot.text("type"), "name": slot.text("name")},
        "item": {"id": entry.object("item").whole("id")},
        "name": entry.text("name"),  # the item's own object has no name
    }
    if "quality" in entry:
        quality = entry.object("quality")
        item["quality"] = {"type": quality.text("type"), "name": quality.text("name")}
    if "level" in entry:
        level = entry.object("level")
        item["level"] = {
            "value": level.whole("value"),
            "display_string": level.text("display_string"),
        }
    return item


def _numbers(reader: Reader, names: tuple[str, ...]) -> dict[str, float]:
    return {name: reader.number(name) for name in names if name in reader}
