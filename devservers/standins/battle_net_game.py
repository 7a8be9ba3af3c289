"""The characters and guilds of the Battle.net stand-in."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from devservers import sample_data

CLASSES = {
    "Warrior": 1,
    "Paladin": 2,
    "Hunter": 3,
    "Priest": 5,
    "Death Knight": 6,
    "Mage": 8,
    "Druid": 11,
    "Demon Hunter": 12,
}
RACES = {
    "Human": 1,
    "Orc": 2,
    "Night Elf": 4,
    "Undead": 5,
    "Tauren": 6,
    "Pandaren": 24,
    "Mag'har Orc": 36,
}
SLOTS = ("HEAD", "CHEST", "FEET", "FINGER_1", "MAIN_HAND")

Key = tuple[str, str, str]


@dataclass(frozen=True, slots=True)
class Realm:
    """A realm's display name in English, its slug, and its name in Russian if that differs."""

    name: str
    slug: str
    russian: str = ""


@dataclass(slots=True)
class Character:
    """One character in the game; a test may change it."""

    name: str
    realm: Realm
    region: str = "eu"
    level: int = 80
    item_level: int = 620
    achievement_points: int = 12_345
    race: str = "Orc"
    playable_class: str = "Warrior"
    faction: str = "Horde"
    guild: Guild | None = None
    strength: int = 40_000
    gear: dict[str, str] = field(default_factory=lambda: {slot: f"{slot} of Old" for slot in SLOTS})
    has_picture: bool = True

    @property
    def key(self) -> Key:
        return (self.region, self.realm.slug, self.name.lower())


@dataclass(slots=True)
class Guild:
    """One guild; ``members`` maps each to its rank, 0 for the master."""

    name: str
    realm: Realm
    region: str = "eu"
    faction: str = "Horde"
    achievement_points: int = 1_500
    members: dict[Key, tuple[Character, int]] = field(default_factory=dict)

    @property
    def key(self) -> Key:
        return (self.region, self.realm.slug, slug(self.name))

    def add(self, *characters: Character, rank: int = 5) -> None:
        for character in characters:
            character.guild = self
            self.members[character.key] = (character, rank)

    def remove(self, character: Character) -> None:
        character.guild = None
        del self.members[character.key]


class Game:
    """All characters and guilds, by region, realm and name."""

    def __init__(self, characters: Iterable[Character] = (), guilds: Iterable[Guild] = ()) -> None:
        self.characters = {character.key: character for character in characters}
        self.guilds = {guild.key: guild for guild in guilds}

    def realms(self, region: str) -> set[Realm]:
        """The realms of all in this region."""
        them: list[Character | Guild] = [*self.characters.values(), *self.guilds.values()]
        return {one.realm for one in them if one.region == region}

    def add(self, *them: Character | Guild) -> None:
        for one in them:
            if isinstance(one, Character):
                self.characters[one.key] = one
            else:
                self.guilds[one.key] = one


def slug(name: str) -> str:
    """Battle.net's slug of a guild's name: no apostrophes, '-' for blanks; accents stay."""
    return unicodedata.normalize("NFC", name).lower().replace("'", "").replace(" ", "-")


def letters(number: int) -> str:
    """A number as letters, of which a character's name consists."""
    return "".join(chr(ord("a") + int(digit)) for digit in str(number))


def sample_game() -> Game:
    """The game for the sample rows, with later changes.

    Every seventh character has joined or left a guild, every tenth is a level higher, and two
    are not found.
    """
    tables = sample_data.generate(datetime.now(UTC))
    names = {
        row["id"]: row["name"]
        for table in ("factions", "races", "classes")
        for row in tables[table]
    }
    guilds = {
        row["id"]: Guild(row["name"], _realm(row), faction=names[row["faction_id"]])
        for row in tables["guilds"]
    }
    game = Game(guilds=guilds.values())
    rows = zip(tables["characters"], tables["character_details"], strict=True)
    for number, (row, known) in enumerate(rows):
        character = Character(
            known["display_name"],
            _realm(row),
            level=known["level"] + (number % 10 == 0),
            race=names[known["race_id"]],
            playable_class=names[known["class_id"]],
            faction=names[known["faction_id"]],
        )
        guild = guilds.get(known["guild_id"])
        if number % 7 == 0:
            guild = None if guild else next(iter(guilds.values()))
        if guild:
            guild.add(character)
        if number not in (3, 4):
            game.add(character)
    return game


def _realm(row: dict[str, Any]) -> Realm:
    slug_ = row["realm"]
    return Realm(slug_.replace("-", " ").title(), slug_)
