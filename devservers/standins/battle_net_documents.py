"""Battle.net's replies in their real form, with all the fields that our worker ignores."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from devservers.standins.battle_net_game import CLASSES, RACES, Character, Guild, Realm

Document = dict[str, Any]

_HOST = "https://eu.api.blizzard.com"


class Text(str):
    """Translated text: without a locale it is an object with all locales."""

    __slots__ = ("russian",)
    russian: str

    def __new__(cls, english: str, russian: str = "") -> Text:
        text = super().__new__(cls, english)
        text.russian = russian or english
        return text


def in_every_locale(document: Any) -> Any:
    """The reply to a request without a locale."""
    if isinstance(document, Text):
        english = dict.fromkeys(("en_US", "de_DE", "fr_FR", "ko_KR"), str(document))
        return {**english, "ru_RU": document.russian}
    if isinstance(document, dict):
        return {name: in_every_locale(value) for name, value in document.items()}
    if isinstance(document, list):
        return [in_every_locale(value) for value in document]
    return document


def profile(character: Character) -> Document:
    parts = ("achievements", "titles", "pvp_summary", "media", "specializations", "statistics")
    document = {
        **_links(_path(character)),
        "id": 139_454_303,
        "name": character.name,
        "gender": {"type": "FEMALE", "name": Text("Female")},
        "faction": _faction(character.faction),
        "race": _playable("race", character.race, RACES),
        "character_class": _playable("class", character.playable_class, CLASSES),
        "active_spec": {"key": _href("/data/wow/x/71"), "name": Text("Arms"), "id": 71},
        "realm": _realm(character.realm),
        "level": character.level,
        "experience": 0,
        "achievement_points": character.achievement_points,
        **{part: _href(f"{_path(character)}/{part}") for part in parts},
        "last_login_timestamp": 1_759_274_951_000,
        "average_item_level": character.item_level + 3,
        "equipped_item_level": character.item_level,
        "active_title": {"name": Text("%s the Fearless"), "display_string": Text("{name}")},
    }
    if character.guild is not None:
        document["guild"] = _guild(character.guild)
    return document


def equipment(character: Character) -> Document:
    return {
        **_links(f"{_path(character)}/equipment"),
        "character": _reference(character),
        "equipped_items": [
            _item(number, slot, name) for number, (slot, name) in enumerate(character.gear.items())
        ],
        "equipped_item_sets": [],
    }


def statistics(character: Character) -> Document:
    rating = {"rating_bonus": 4.5, "value": 9.5, "rating_normalized": 810}
    document: Document = {
        **_links(f"{_path(character)}/statistics"),
        "health": 8_412_340,
        "power": 100,
        "power_type": {"key": _href("/data/wow/power-type/1"), "name": Text("Rage"), "id": 1},
        "speed": {"rating_bonus": 0.0, "rating_normalized": 0},
        "strength": {"base": 17_647, "effective": character.strength},
        "avoidance": {"rating_bonus": 0.0, "rating_normalized": 0},
        "bonus_armor": 0,
        "versatility": 2_310,
        "versatility_damage_done_bonus": 2.96,
        "attack_power": character.strength,
        "main_hand_damage_min": 31_060.0,
        "main_hand_damage_max": 51_768.5,
        "spell_power": 0,
        "spell_penetration": 0,
        "mana_regen": 0.0,
        "character": _reference(character),
    }
    for name in ("agility", "intellect", "stamina", "armor"):
        document[name] = {"base": 9_000, "effective": 12_000}
    for name in ("melee_crit", "melee_haste", "mastery", "lifesteal", "spell_crit", "spell_haste"):
        document[name] = dict(rating)
    for name in ("dodge", "parry", "block", "ranged_crit", "ranged_haste"):
        document[name] = {**rating, "value": 3}
    return document


def media(character: Character) -> Document:
    place = f"https://render.worldofwarcraft.com/{character.region}/character/{character.name}"
    return {
        **_links(f"{_path(character)}/character-media"),
        "character": _reference(character),
        "assets": [
            {"key": key, "value": f"{place}-{key}.jpg"} for key in ("avatar", "inset", "main-raw")
        ],
    }


def guild(subject: Guild) -> Document:
    path = f"/data/wow/guild/{subject.key[1]}/{subject.key[2]}"
    color = {"id": 3, "rgba": {"r": 104, "g": 0, "b": 0, "a": 1.0}}
    return {
        **_links(path),
        "id": 75_110_237,
        "name": subject.name,
        "faction": _faction(subject.faction),
        "achievement_points": subject.achievement_points,
        "member_count": len(subject.members),
        "realm": _realm(subject.realm),
        "crest": {
            "emblem": {"id": 122, "media": {"key": _href("/data/wow/m/122")}, "color": color},
            "border": {"id": 0, "media": {"key": _href("/data/wow/m/0")}, "color": color},
            "background": {"color": color},
        },
        "roster": _href(f"{path}/roster"),
        "achievements": _href(f"{path}/achievements"),
        "created_timestamp": 1_480_000_000_000,
        "activity": _href(f"{path}/activity"),
    }


def roster(subject: Guild) -> Document:
    return {
        **_links(f"/data/wow/guild/{subject.key[1]}/{subject.key[2]}/roster"),
        "guild": _guild(subject),
        "members": [_member(*member) for member in subject.members.values()],
    }


def playable_index(list_name: str, ids: Mapping[str, int]) -> Document:
    """The index of classes or races."""
    entries: Iterable[Document] = (
        {"key": _href(f"/data/wow/x/{id_}"), "name": Text(name), "id": id_}
        for name, id_ in ids.items()
    )
    return {**_links("/data/wow/x/index"), list_name: list(entries)}


def realm_index(realms: Iterable[Realm]) -> Document:
    return {**_links("/data/wow/realm/index"), "realms": list(map(_realm, realms))}


def _item(number: int, slot: str, name: str) -> Document:
    return {
        "item": {"key": _href(f"/data/wow/item/{200_000 + number}"), "id": 200_000 + number},
        "sockets": [{"socket_type": {"type": "PRISMATIC", "name": Text("Prismatic Socket")}}],
        "slot": {"type": slot, "name": Text(slot.replace("_", " ").title())},
        "quantity": 1,
        "context": 35,
        "bonus_list": [6_652, 10_356],
        "quality": {"type": "EPIC", "name": Text("Epic")},
        "name": Text(name),
        "media": {"key": _href("/data/wow/media/item/1"), "id": 200_000 + number},
        "inventory_type": {"type": slot, "name": Text(slot.title())},
        "binding": {"type": "ON_ACQUIRE", "name": Text("Binds when picked up")},
        "stats": [{"type": {"type": "STAMINA", "name": Text("Stamina")}, "value": 41_321}],
        "level": {"value": 619, "display_string": Text("Item Level 619")},
        "durability": {"value": 92, "display_string": Text("Durability 92 / 100")},
    }


def _member(character: Character, rank: int) -> Document:
    """Classes and races only by id, and realms without a name."""
    return {
        "character": {
            "key": _href(_path(character)),
            "name": character.name,
            "id": 139_454_303,
            "realm": {"key": _href("/data/wow/realm/1"), "id": 1, "slug": character.realm.slug},
            "level": character.level,
            "playable_class": {"key": _href("/x"), "id": CLASSES[character.playable_class]},
            "playable_race": {"key": _href("/x"), "id": RACES[character.race]},
            "faction": {"type": character.faction.upper()},
        },
        "rank": rank,
    }


def _guild(subject: Guild) -> Document:
    return {
        "key": _href(f"/data/wow/guild/{subject.key[1]}/{subject.key[2]}"),
        "name": subject.name,
        "id": 75_110_237,
        "realm": _realm(subject.realm),
        "faction": _faction(subject.faction),
    }


def _reference(character: Character) -> Document:
    return {
        "key": _href(_path(character)),
        "name": character.name,
        "id": 139_454_303,
        "realm": _realm(character.realm),
    }


def _playable(kind: str, name: str, ids: Mapping[str, int]) -> Document:
    return {"key": _href(f"/data/wow/playable-{kind}/{ids[name]}"), "name": Text(name), "id": 1}


def _realm(realm: Realm) -> Document:
    key = _href("/data/wow/realm/1621")
    name = Text(realm.name, realm.russian)
    return {"key": key, "name": name, "id": 1_621, "slug": realm.slug}


def _faction(name: str) -> Document:
    return {"type": name.upper(), "name": Text(name)}


def _path(character: Character) -> str:
    return f"/profile/wow/character/{character.key[1]}/{character.key[2]}"


def _links(path: str) -> Document:
    return {"_links": {"self": _href(path)}}


def _href(path: str) -> Document:
    return {"href": f"{_HOST}{path}?namespace=profile-eu"}
