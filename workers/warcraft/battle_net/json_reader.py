"""Battle.net's replies, validated field by field: an error names the field by its path.

What Battle.net leaves out or spoils costs no more than itself: `Faults` notes it and goes on.
"""

import json
import math
import re
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

from workers.warcraft.battle_net.errors import BattleNetError, InvalidReply

P = ParamSpec("P")
T = TypeVar("T")

# The largest bigint.
_MOST = 2**63 - 1
# A number as text, as some replies have it; more digits than these are no bigint.
_NUMBER = re.compile(r"-?[0-9]{1,20}(\.[0-9]{1,20})?")
_MOST_SHOWN = 5


class Reader:
    """One object of a reply, with its path for the messages of InvalidReply.

    Fields are named by their path from here: ``text("realm", "slug")``.
    """

    def __init__(self, value: object, path: str) -> None:
        if not isinstance(value, dict):
            raise InvalidReply(f"{path} is {_kind(value)}, not an object")
        self._value: dict[str, Any] = value
        self._path = path

    def __contains__(self, name: str) -> bool:
        return self._value.get(name) is not None

    def object(self, *names: str) -> "Reader":
        return Reader(*self._field(names))

    def each(self, name: str, read: Callable[["Reader"], T], faults: "Faults") -> list[T]:
        """What ``read`` makes of every object of a list; without those that it cannot read."""
        items, path = self._list(name)

        def read_item(item: Any, path: str) -> T:
            return read(Reader(item, path))

        found = (faults.part(read_item, item, f"{path}[{n}]") for n, item in enumerate(items))
        return [value for value in found if value is not None]

    def size(self, name: str) -> int:
        """The number of entries of a list, also of those that cannot be read."""
        return len(self._list(name)[0])

    def text(self, *names: str) -> str:
        """Text that is not empty and that PostgreSQL can hold: no NUL, no lone surrogates."""
        value, path = self._field(names)
        if not isinstance(value, str):
            raise InvalidReply(f"{path} is {_kind(value)}, not text")
        if not value.strip() or "\0" in value or any("\ud800" <= c <= "\udfff" for c in value):
            raise InvalidReply(f"{path} is empty or holds a character that is none")
        return value

    def translations(self, name: str) -> list[str]:
        """Text in all locales, as it is in a reply to a request without a locale."""
        if not isinstance(self._value.get(name), dict):
            return [self.text(name)]
        translated = self.object(name)
        return [translated.text(locale) for locale in translated._value if locale in translated]

    def whole(self, *names: str) -> int:
        """A whole number from 0 to the largest that a bigint holds."""
        value = self.number(*names)
        if not isinstance(value, int) or value < 0:
            raise InvalidReply(f"{self._at(names)} is {value}, not a whole number from 0")
        return value

    def number(self, *names: str) -> float:
        """A finite number, also as text; an int if it has no fraction."""
        value, path = self._field(names)
        if isinstance(value, str) and _NUMBER.fullmatch(value):
            value = float(value) if "." in value else int(value)
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise InvalidReply(f"{path} is {_kind(value)}, not a number")
        if not math.isfinite(value) or abs(value) > _MOST:
            raise InvalidReply(f"{path} is out of range")
        return int(value) if value == int(value) else value

    def _list(self, name: str) -> tuple[list[Any], str]:
        items, path = self._field((name,))
        if not isinstance(items, list):
            raise InvalidReply(f"{path} is {_kind(items)}, not a list")
        return items, path

    def _field(self, names: tuple[str, ...]) -> tuple[Any, str]:
        """A field's value and its path."""
        *outer, name = names
        owner = self.object(*outer) if outer else self
        if name not in owner:
            raise InvalidReply(f"{self._at(names)} is missing")
        return owner._value[name], self._at(names)

    def _at(self, names: tuple[str, ...]) -> str:
        return ".".join((self._path, *names))


class Faults:
    """What could not be used of the replies about one subject; as text, the first of it."""

    def __init__(self) -> None:
        self._texts: list[str] = []

    def part(self, read: Callable[P, T], *arguments: P.args, **options: P.kwargs) -> T | None:
        """What ``read`` returns, or None if it raises InvalidReply, which is noted."""
        try:
            return read(*arguments, **options)
        except InvalidReply as error:
            self.note(error)
            return None

    def note(self, error: BattleNetError) -> None:
        self._texts.append(str(error))

    def __str__(self) -> str:
        more = len(self._texts) - _MOST_SHOWN
        shown = "; ".join(self._texts[:_MOST_SHOWN])
        return f"{shown}; and {more} more" if more > 0 else shown


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
