"""Kinds of settings: how each is declared, parsed and explained to an operator.

Use them through `common.config`.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Generic, TypeVar
from urllib.parse import urlsplit

from common.config import go_syntax
from common.config.settings_files import regular_file
from common.logging.redaction import redact, tokens

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)

# Line breaks and NULs would let a value leave its place in a connection string or header;
# surrogates are bytes of the environment that are not UTF-8.
_UNFIT = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_NUMBER = re.compile(r"[0-9]+(?:\.[0-9]+)?")
_UNITS = {"s": "seconds", "h": "hours"}


@dataclass(frozen=True, slots=True)
class Variable(Generic[T_co]):
    """One setting: its name, its parser and its description for an operator.

    `parse` raises ValueError with a short reason; `expected` completes "expected …"; `default` is
    in the syntax of an operator, or None if the setting must be set. `live_parse` is how the live
    services read it, without our limits; where it raises ValueError, they take their default.
    `caution` is a warning that operators get while it is set.
    """

    name: str
    parse: Callable[[str], T_co]
    expected: str
    default: str | None
    help: str
    aliases: tuple[str, ...] = ()
    secret: bool = False
    live_parse: Callable[[str], object] = str
    caution: str = ""


# A switch, and a setting that must not be empty while the switch is on.
Need = tuple[Variable[bool], Variable[Any]]


def names(variables: Iterable[Variable[Any]]) -> tuple[str, ...]:
    """Every name and alias of these settings, in their order."""
    return tuple(name for variable in variables for name in (variable.name, *variable.aliases))


def wrong(variable: Variable[Any], value: str, reason: ValueError, secrets: Iterable[str]) -> str:
    """Describe an invalid value and what was expected.

    The value is hidden if it may be a secret that was meant for another setting. A path is none.
    """
    shown = redact(value, *secrets)
    if variable.secret or (tokens(shown) and not regular_file.is_path(value)):
        return f"(hidden); expected {variable.expected}"
    return f"{shown[:100]!r} ({redact(str(reason), *secrets)}); expected {variable.expected}"


def unmet(needs: Iterable[Need], values: Mapping[str, object]) -> list[str]:
    """One line for each empty setting whose switch is on."""
    switches: dict[Variable[Any], list[str]] = {}
    for switch, needed in needs:
        if values.get(switch.name) is True and values.get(needed.name) == "":
            switches.setdefault(needed, []).append(switch.name)
    return [
        f"{needed.name} is not set; expected {needed.expected} while {' or '.join(names)} is true"
        for needed, names in switches.items()
    ]


def items(text: str, read: Callable[[str], T]) -> tuple[T, ...]:
    """What ``read`` makes of each item of a comma-separated list; blanks around it are dropped."""
    return tuple(read(item.strip(" \t")) for item in text.split(","))


def boolean(name: str, default: str | None, help: str) -> Variable[bool]:
    """A Go boolean."""
    expected = "a Go boolean: 1, t, T, TRUE, true, True or 0, f, F, FALSE, false, False"
    parse = go_syntax.parse_boolean
    return Variable(name, parse, expected, default, help, live_parse=parse)


def duration(
    name: str,
    default: str | None,
    help: str,
    *,
    minimum: str = "1ms",
    maximum: str | None = None,
    bare: str = "",
) -> Variable[timedelta]:
    """A Go duration, from `minimum` to `maximum`, both written in Go's syntax and allowed.

    `bare` is the unit of a number without one, where the live service reads such numbers.
    """
    least = go_syntax.parse_duration(minimum)
    most = go_syntax.parse_duration(maximum) if maximum else timedelta.max

    def read(text: str) -> timedelta:
        is_bare = bare and _NUMBER.fullmatch(text)
        return go_syntax.parse_duration(f"{text}{bare}" if is_bare else text)

    def parse(text: str) -> timedelta:
        value = read(text)
        if value < least:
            raise ValueError(f"less than {minimum}")
        if value > most:
            raise ValueError(f"more than {maximum}")
        return value

    bounds = f"from {minimum} to {maximum}" if maximum else f"of at least {minimum}"
    example = default if maximum and default else "5m or 1h30m"
    expected = f"a Go duration {bounds}, such as {example}"
    if bare:
        expected += f", or a number of {_UNITS[bare]}"
    return Variable(name, parse, expected, default, help, live_parse=read)


def interval(name: str, default: str | None, help: str, *, bare: str = "") -> Variable[timedelta]:
    """The time between two passes of a scheduler: a Go duration, at least 100 ms."""
    return duration(name, default, help, minimum="100ms", bare=bare)


def days(name: str, default: str | None, help: str) -> Variable[timedelta]:
    """A number of whole days: at least 1, at most 36500, which keeps now - days a valid date."""
    count = integer(name, default, help, minimum=1, maximum=36500)
    expected = "a number of whole days from 1 to 36500"

    def parse(text: str) -> timedelta:
        return timedelta(days=count.parse(text))

    return Variable(name, parse, expected, default, help, live_parse=count.live_parse)


def integer(
    name: str, default: str | None, help: str, *, minimum: int, maximum: int
) -> Variable[int]:
    """A decimal integer from `minimum` to `maximum`, both allowed."""

    def parse(text: str) -> int:
        value = go_syntax.parse_integer(text)
        if not minimum <= value <= maximum:
            raise ValueError("out of range")
        return value

    expected = f"an integer from {minimum} to {maximum}"
    return Variable(name, parse, expected, default, help, live_parse=go_syntax.parse_integer)


def share(name: str, default: str | None, help: str) -> Variable[float]:
    """A part of a whole: a decimal number above 0, at most 1."""

    def parse(text: str) -> float:
        if not _NUMBER.fullmatch(text):
            raise ValueError("not a decimal number")
        value = float(text)
        if not 0 < value <= 1:
            raise ValueError("out of range")
        return value

    expected = f"a number above 0, at most 1, such as {default or '0.5'}"
    return Variable(name, parse, expected, default, help)


def text(name: str, default: str | None, help: str, *, secret: bool = False) -> Variable[str]:
    """One line of text; only a secret may begin or end with a blank."""
    expected = "text without control characters" + ("" if secret else " or blanks around it")
    parse = _printable if secret else _trimmed
    return Variable(name, parse, expected, default, help, secret=secret)


def choice(
    name: str,
    choices: Iterable[str],
    default: str | None,
    help: str,
    *,
    aliases: tuple[str, ...] = (),
) -> Variable[str]:
    """One of a few lower-case words, written in any case; the value is in lower case."""
    allowed = tuple(choices)

    def parse(text: str) -> str:
        if text.lower() not in allowed and text != default:
            raise ValueError("not one of them")
        return text.lower()

    return Variable(name, parse, f"one of {', '.join(allowed)}", default, help, aliases)


def file(name: str, help: str, *, word: str = "") -> Variable[str]:
    """The path of a file that this user can read, or ``word``; empty: none."""

    def parse(text: str) -> str:
        if text not in ("", word):
            try:
                with regular_file.opened(text):
                    pass
            except OSError as error:
                raise ValueError(f"cannot be read: {error.strerror}") from None
        return text

    expected = "the path of a file that the worker's user can read"
    return Variable(name, parse, f"{expected}, or {word}" if word else expected, "", help)


def url(name: str, default: str, help: str) -> Variable[str]:
    """An http or https URL with a host; empty: none."""

    def parse(text: str) -> str:
        parts = urlsplit(_trimmed(text))
        if text and not (parts.scheme in ("http", "https") and parts.hostname):
            raise ValueError("not a URL")
        return text

    return Variable(name, parse, "a URL that begins with https:// or http://", default, help)


def _printable(text: str) -> str:
    if _UNFIT.search(text):
        raise ValueError("holds a control character or bytes that are not UTF-8")
    return text


def _trimmed(text: str) -> str:
    if text != text.strip():
        raise ValueError("begins or ends with a blank")
    return _printable(text)
