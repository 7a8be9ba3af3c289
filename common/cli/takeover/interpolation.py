"""The variables in the values of a Compose file: `${NAME:-default}`, `$$` and the like.

By the Compose Specification's chapter "Interpolation". Of a `$` that begins nothing, it says that
it is kept.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass

_NAME = re.compile("[_a-zA-Z][_a-zA-Z0-9]*")
_OPERATOR = re.compile(":?[-?+]")

Lookup = Callable[[str], str | None]


class InterpolationError(Exception):
    """Compose would refuse this text; the message says why."""


@dataclass(frozen=True, slots=True)
class Interpolated:
    """A text with its variables replaced.

    ``used`` are the variables whose values are in it, in their order; ``is_open`` if one is not set
    and has no default there: empty, to Compose.
    """

    text: str
    used: tuple[str, ...] = ()
    is_open: bool = False


def interpolate(text: str, lookup: Lookup) -> Interpolated:
    """Replace the variables; ``lookup`` returns a value or None. Raises InterpolationError."""
    work = _Interpolation(lookup)
    done = work.replace(text)
    return Interpolated(done, tuple(dict.fromkeys(work.used)), work.is_open)


class _Interpolation:
    """The messages quote nothing: the text may be a secret with a $ in it."""

    def __init__(self, lookup: Lookup) -> None:
        self._lookup = lookup
        self.used: list[str] = []
        self.is_open = False

    def replace(self, text: str) -> str:
        parts, position = list[str](), 0
        while (dollar := text.find("$", position)) >= 0:
            parts.append(text[position:dollar])
            position = dollar + 1
            if text.startswith("{", position):
                end = _end(text, position)
                parts.append(self._braced(text[position + 1 : end]))
                position = end + 1
            elif name := _NAME.match(text, position):
                parts.append(self._value(name[0]))
                position = name.end()
            else:
                parts.append("$")
                position += text.startswith("$", position)
        return "".join(parts) + text[position:]

    def _braced(self, inner: str) -> str:
        name = _NAME.match(inner)
        if name and name.end() == len(inner):
            return self._value(name[0])
        operator = _OPERATOR.match(inner, name.end()) if name else None
        if not name or not operator:
            raise InterpolationError("a ${ in it is not written as Compose expects")
        value, rest = self._lookup(name[0]), inner[operator.end() :]
        is_set = bool(value) if operator[0].startswith(":") else value is not None
        if operator[0].endswith("+"):
            return self.replace(rest) if is_set else ""
        if is_set:
            return self._value(name[0])
        if operator[0].endswith("?"):
            raise InterpolationError("a variable in it is required, and not set in the files")
        return self.replace(rest)

    def _value(self, name: str) -> str:
        value = self._lookup(name)
        if value is None:
            self.is_open = True
            return ""
        self.used.append(name)
        return value


def _end(text: str, start: int) -> int:
    """The place of the brace that closes the one at ``start``; inner ones belong to `${`."""
    depth = 0
    for brace in re.compile(r"\$\$|\$\{|\}").finditer(text, start + 1):
        if brace[0] == "}" and depth == 0:
            return brace.start()
        depth += {"${": 1, "}": -1, "$$": 0}[brace[0]]
    raise InterpolationError("a ${ in it is not closed")
