"""The repeatable source of the ids, times and words in sample rows."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TypeVar
from uuid import UUID

T = TypeVar("T")

SECOND = timedelta(seconds=1)
MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)

ADJECTIVES = ("quiet", "salty", "amber", "crooked", "frosty", "brave", "dusty", "lucky", "mild")
NOUNS = ("otter", "lantern", "harbour", "pickle", "meadow", "comet", "kettle", "badger", "raven")


@dataclass(frozen=True, slots=True)
class Remotes:
    """The hosts in the rows' webhook URLs: non-existent ones, or stand-ins."""

    discord: str = "https://discord.example"
    receivers: str = "https://hooks.example"


@dataclass(frozen=True, slots=True)
class Row:
    """One row to insert: its table and every column without a default."""

    table: str
    values: dict[str, object]

    @property
    def id(self) -> object:
        """The primary key, for rows that reference this one."""
        return self.values["id"]


class Source:
    """One seeded stream of values, and the time that all others are relative to."""

    def __init__(self, seed: int, now: datetime, remotes: Remotes) -> None:
        self.now = now
        self.remotes = remotes
        self._random = random.Random(seed)
        self._number = 0

    def id(self) -> UUID:
        """A random (version 4) UUID."""
        return UUID(int=self._random.getrandbits(128), version=4)

    def number(self) -> int:
        """1, 2, 3 …: for unique columns."""
        self._number += 1
        return self._number

    def between(self, least: int, most: int) -> int:
        """A whole number, both ends included."""
        return self._random.randint(least, most)

    def one_of(self, choices: Sequence[T]) -> T:
        """One of the choices."""
        return self._random.choice(choices)

    def ago(self, least: timedelta, most: timedelta) -> datetime:
        """A time between `least` and `most` ago."""
        return self.now - self._random.uniform(0, 1) * (most - least) - least

    def ahead(self, least: timedelta, most: timedelta) -> datetime:
        """A time between `least` and `most` from now."""
        return self.now + self._random.uniform(0, 1) * (most - least) + least

    def name(self) -> str:
        """Two words, not unique."""
        return f"{self.one_of(ADJECTIVES)} {self.one_of(NOUNS)}"

    def times(self, created: datetime, deleted: datetime | None = None) -> dict[str, object]:
        """The three columns that almost every live table has."""
        return {"created_at": created, "updated_at": created, "deleted_at": deleted}
