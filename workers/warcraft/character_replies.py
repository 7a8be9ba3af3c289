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
These are the API's own objects without the other fields. What Battle.net leaves out, or what cannot
be used, is missing here too; an item without a slot is left out.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from workers.warcraft.battle_net import addresses
from workers.warcraft.battle_net.client import BattleNet
from workers.warcraft.battle_net.errors import InvalidReply, NotFound
from workers.warcraft.battle_net.json_reader import Faults, Reader
from workers.warcraft.battle_net.realm_index import REALMS
from workers.warcraft.due_subjects import SyncSubject
from workers.warcraft.reference_rows import Reference, read_faction

T = TypeVar("T")

_NUMBERS = ("power", "versatility", "attack_power", "spell_power", "spell_penetration")
_ATTRIBUTES = ("strength", "agility", "intellect", "stamina", "armor")
_RATINGS = ("melee_crit", "melee_haste", "mastery", "spell_crit", "dodge", "parry", "block")
_RATING_PARTS = ("rating_normalized", "rating_bonus", "value")


@dataclass(frozen=True, slots=True)
class MemberOf:
    """A character's guild and the slug of its realm, and how a row may spell them."""

    name: str
    realm: str
    names: list[str]
    realms: list[str]


@dataclass(frozen=True, slots=True)
class Profile:
    """The character itself; None is what the reply does not tell.

    ``guild`` is the name of its guild, and the slug and name of the guild's realm; without it,
    ``has_guild`` is whether the reply has a guild that cannot be used.
    """

    display_name: str
    display_realm: str | None
    level: int | None
    item_level: int | None
    achievement_points: int | None
    faction: Reference | None
    race: Reference | None
    playable_class: Reference | None
    guild: tuple[str, str, str | None] | None
    has_guild: bool


@dataclass(frozen=True, slots=True)
class Character:
    """Everything that is recorded of a character; None is what Battle.net does not tell.

    ``avatar`` is a picture's URL. ``missing`` says what could not be used, '' if nothing.
    """

    profile: Profile
    guild: MemberOf | None
    equipment: list[dict[str, Any]] | None
    stats: dict[str, Any] | None
    avatar: str | None
    missing: str


class CharacterFetcher:
    """Fetches one character: four requests, one after the other."""

    def __init__(self, battle_net: BattleNet) -> None:
        self._battle_net = battle_net

    def __call__(self, subject: SyncSubject) -> Character:
        region, faults = subject.region, Faults()
        realm = REALMS.slug(self._battle_net, region, subject.realm)
        path = addresses.character_path(realm, subject.name)

        def part(name: str, path: str, read: Callable[[Reader, Faults], T | None]) -> T | None:
            try:
                reply = self._battle_net.get(region, path, name=name)
            except NotFound as error:
                if read is not read_avatar:  # a character may have no picture
                    faults.note(error)
                return None
            return faults.part(read, reply, faults)

        profile = read_profile(self._battle_net.get(region, path, name="profile"), faults)
        equipment = part("equipment", f"{path}/equipment", read_equipment)
        stats = part("statistics", f"{path}/statistics", read_stats)
        avatar = part("media", f"{path}/character-media", read_avatar)
        guild = self._member_of(region, profile)
        return Character(profile, guild, equipment, stats, avatar, missing=str(faults))

    def _member_of(self, region: str, profile: Profile) -> MemberOf | None:
        if profile.guild is None:
            return None
        name, realm, realm_name = profile.guild
        realms = REALMS.realms(self._battle_net, region).spellings(realm, realm_name or realm)
        names = [name, addresses.folded(name), addresses.slug(name)]
        return MemberOf(name, realm, names, sorted(realms))


def read_profile(reply: Reader, faults: Faults) -> Profile:
    """Read the profile. Raises InvalidReply if it does not even tell the character's name."""
    part = faults.part
    return Profile(
        display_name=reply.text("name"),
        display_realm=part(reply.text, "realm", "name"),
        level=part(reply.whole, "level"),
        item_level=part(reply.whole, "equipped_item_level"),
        achievement_points=part(reply.whole, "achievement_points"),
        faction=part(read_faction, reply),
        race=part(_named, reply, "race"),
        playable_class=part(_named, reply, "character_class"),
        guild=part(_guild, reply, faults) if "guild" in reply else None,
        has_guild="guild" in reply,
    )


def read_equipment(reply: Reader, faults: Faults) -> list[dict[str, Any]]:
    # Sorted by slot, so that another order of the same items is not a change.
    items = reply.each("equipped_items", lambda entry: _item(entry, faults), faults)
    return sorted(items, key=lambda item: str(item["slot"]["type"]))


def read_stats(reply: Reader, faults: Faults) -> dict[str, Any]:
    """Read the statistics. Raises InvalidReply if none of them can be used."""
    optional = [name for name in _NUMBERS if name in reply]
    stats: dict[str, Any] = _numbers(reply, ["health", *optional], faults)
    if "power_type" in reply:
        stats["power_type"] = {
            "id": faults.part(reply.whole, "power_type", "id"),
            "name": faults.part(reply.text, "power_type", "name"),
        }
    for name in _ATTRIBUTES:
        if attribute := faults.part(reply.object, name):
            stats[name] = _numbers(attribute, ["base", "effective"], faults)
    for name in _RATINGS:
        if name in reply and (rating := faults.part(reply.object, name)):
            parts = [part for part in _RATING_PARTS if part in rating]
            stats[name] = _numbers(rating, parts, faults)
    if not (known := _known(stats)):
        raise InvalidReply("statistics has nothing that can be used")
    return known


def read_avatar(reply: Reader, faults: Faults) -> str | None:
    """The avatar's URL; characters not played for long have the format before 2020."""
    if "avatar_url" in reply:
        return reply.text("avatar_url")
    if "assets" not in reply:
        return None
    assets = reply.each("assets", lambda asset: (asset.text("key"), asset.text("value")), faults)
    return dict(assets).get("avatar")


def _named(reply: Reader, field: str) -> Reference:
    return Reference.named(reply.text(field, "name"))


def _guild(reply: Reader, faults: Faults) -> tuple[str, str, str | None]:
    guild = reply.object("guild")
    return guild.text("name"), guild.text("realm", "slug"), faults.part(guild.text, "realm", "name")


def _item(entry: Reader, faults: Faults) -> dict[str, Any]:
    part = faults.part
    item: dict[str, Any] = {
        "slot": {"type": entry.text("slot", "type"), "name": part(entry.text, "slot", "name")},
        "item": {"id": part(entry.whole, "item", "id")},
        "name": part(entry.text, "name"),  # the item's own object has no name
    }
    if "quality" in entry:
        item["quality"] = {name: part(entry.text, "quality", name) for name in ("type", "name")}
    if "level" in entry:
        item["level"] = {
            "value": part(entry.whole, "level", "value"),
            "display_string": part(entry.text, "level", "display_string"),
        }
    return _known(item)


def _numbers(reader: Reader, names: list[str], faults: Faults) -> dict[str, float | None]:
    return {name: faults.part(reader.number, name) for name in names}


def _known(values: dict[str, Any]) -> dict[str, Any]:
    """Only what is known, at any depth."""
    inner = {name: _known(v) if isinstance(v, dict) else v for name, v in values.items()}
    return {name: value for name, value in inner.items() if value not in (None, {})}
