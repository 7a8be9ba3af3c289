"""Battle.net's replies, validated field by field: an error names the field by its path."""

import json
import math
from collections.abc import Iterator
from typing import Any

from workers.warcraft.battle_net.errors import InvalidReply

# The largest bigint.
_MOST = 2**63 - 1


class Reader:
    """One object of a reply, with its path for the messages of InvalidReply."""

    def __init__(self, value: object, path: str) -> None:
        if not isinstance(value, dict):
            raise InvalidReply(f"{path} is {_kind(value)}, not an object")
        self._value: dict[str, Any] = value
        self._path = path

    def __contains__(self, name: str) -> bool:
        return self._value.get(name) is not None

    def object(self, name: str) -> "Reader":
        return Reader(self._field(name), self._at(name))

    def objects(self, name: str) -> Iterator["Reader"]:
        """The objects of a list, each with its index in its path."""
        items = self._field(name)
        if not isinstance(items, list):
            raise InvalidReply(f"{self._at(name)} is {_kind(items)}, not a list")
        for index, item in enumerate(items):
            yield Reader(item, f"{self._at(name)}[{index}]")

    def text(self, name: str) -> str:
        """Text that is not empty and that PostgreSQL can hold: no NUL, no lone surrogates."""
        value = self._field(name)
        if not isinstance(value, str):
            raise InvalidReply(f"{self._at(name)} is {_kind(value)}, not text")
        if not value.strip() or "\0" in value or any("\ud800" <= c <= "\udfff" for c in value):
            raise InvalidReply(f"{self._at(name)} is empty or holds a character that is none")
        return value

    def whole(self, name: str) -> int:
        """A whole number from 0 to the largest that a bigint holds."""
        value = self._field(name)
        if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= _MOST:
            raise InvalidReply(f"{self._at(name)} is {_kind(value)}, not a whole number from 0")
        return value

    def number(self, name: str) -> float:
        """A finite number; a whole one stays an int."""
        value = self._field(name)
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise InvalidReply(f"{self._at(name)} is {_kind(value)}, not a number")
        if not math.isfinite(value) or abs(value) > _MOST:
            raise InvalidReply(f"{self._at(name)} is out of range")
        return value

    def _field(self, name: str) -> Any:
        if name not in self:
            raise InvalidReply(f"{self._at(name)} is missing")
        return self._value[name]

    def _at(self, name: str) -> str:
        return f"{self._path}.{name}"


def parse(body: bytes, name: str) -> Reader:
    """Read the body of a reply; ``name`` is the start of its paths. Raises InvalidReply."""
    try:
        return Reader(json.loads(body), name)
    except (ValueError, RecursionError) as error:
        raise InvalidReply(f"{name} is not JSON") from error


def _kind(value: object) -> str:
    """The kind of a value, for a message; the value itself could be long or secret."""
    kinds = {dict: "an object", list: "a list", str: "text", bool: "a boolean"}
    return "null" if value is None else kinds.get(type(value), "a number")
