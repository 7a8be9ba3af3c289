"""The repeatable source of sample rows, and how their values are drawn from it."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

SECOND = timedelta(seconds=1)
MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)

ADJECTIVES = ("quiet", "salty", "amber", "crooked", "frosty", "brave", "dusty", "lucky", "mild")
NOUNS = ("otter", "lantern", "harbour", "pickle", "meadow", "comet", "kettle", "badger", "raven")

# What every row has, and not every table.
OPTIONAL = ("id", "created_at", "updated_at", "deleted_at")

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Remotes:
    """The hosts in the rows' webhook URLs: non-existent ones, or stand-ins."""

    discord: str = "https://discord.example"
    receivers: str = "https://hooks.example"


class Source:
    """One seeded stream of values, the time that all others are relative to, and all rows."""

    def __init__(self, seed: int, now: datetime, remotes: Remotes) -> None:
        self.now = now
        self.remotes = remotes
        self.random = random.Random(seed)
        self.rows: defaultdict[str, list[Row]] = defaultdict(list)
        self._number = 0

    def add(
        self, table: str, count: int = 1, template: Template | None = None, /, **columns: object
    ) -> list[Row]:
        """Add so many rows; a value that is a Draw is drawn for each. Returns them.

        A row has an id and its times, if its table has such columns.
        """
        added = [self._row(template or {}, columns) for _ in range(count)]
        self.rows[table] += added
        return added

    def number(self) -> int:
        """1, 2, 3 …: for unique columns."""
        self._number += 1
        return self._number

    def name(self) -> str:
        """Two words, not unique."""
        return f"{self.random.choice(ADJECTIVES)} {self.random.choice(NOUNS)}"

    def draw(self, value: object) -> Any:
        """A value that may be a Draw."""
        return value(self) if callable(value) else value

    def _row(self, template: Template, columns: Mapping[str, object]) -> Row:
        row: Row = {"id": UUID(int=self.random.getrandbits(128), version=4)}
        values = {**self.draw(template), **columns}
        row |= {name: self.draw(value) for name, value in values.items()}
        created = row.setdefault("created_at", self.draw(ago(100 * DAY, 390 * DAY)))
        return {"updated_at": created, "deleted_at": None, **row}


Draw = Callable[[Source], Any]
# The columns of a row, or how to draw them together.
Template = Mapping[str, object] | Callable[[Source], Mapping[str, object]]


def ago(least: timedelta, most: timedelta) -> Draw:
    """A time between `least` and `most` ago."""
    return lambda source: source.now - source.random.random() * (most - least) - least


def ahead(least: timedelta, most: timedelta) -> Draw:
    """A time between `least` and `most` from now."""
    return lambda source: source.now + source.random.random() * (most - least) + least


def between(least: int, most: int) -> Draw:
    """A whole number, both ends included."""
    return lambda source: source.random.randint(least, most)


def one_of(*choices: object) -> Draw:
    """One of the choices, each of which may be a Draw."""
    return lambda source: source.draw(source.random.choice(choices))


def one_in(count: int, value: object, other: object) -> Draw:
    """One time of so many the value, else the other; each may be a Draw."""
    return lambda source: source.draw(value if source.random.randrange(count) == 0 else other)


def text(pattern: str) -> Draw:
    """A text with two words for {name} and a unique number for {n}."""
    return lambda source: pattern.format(name=source.name(), n=source.number())


def of(rows: Sequence[Row], column: str = "id") -> Draw:
    """A column of one of these rows."""
    return lambda source: source.random.choice(rows)[column]
