"""Reads an `.env` as the live services read theirs (godotenv 1.5.1), or as Compose does."""

import io
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from dotenv.parser import Binding, parse_stream

from common.cli.takeover.interpolation import InterpolationError, interpolate
from common.cli.takeover.live_file import Given, LiveFileError, place
from common.config.settings_files import env_file, regular_file, spellings

# What godotenv replaces, by a name that is set further up in the file.
_EXPANDED = re.compile(r"(\\)?\$\(?\{?([A-Z0-9_]+)?\}?")

# The name of a statement that a colon ends.
_COLON = re.compile(r"(\s*(?:export[^\S\r\n]+)?[\w.]+[^\S\r\n]*):")

_NOT_SET = (
    "a variable in it is not set in the files: Compose takes it from its shell, or leaves it empty"
)
# Of a name without a value.
PASSED_ON = "not in the files: Compose passes it on from its shell"

_Values = Mapping[str, Given]


def of_live_service(path: Path) -> list[Given]:
    """The variables of a live service's own file. Raises LiveFileError."""
    return _read(path, _expanded)


def of_compose(path: Path, project: _Values) -> list[Given]:
    """The variables of an `env_file:`, or of the `.env` beside a Compose file.

    ``project`` are the variables of the latter. Raises LiveFileError.
    """

    def replaced(given: Given, before: _Values) -> Given:
        return interpolated(given, {**project, **before})

    return _read(path, replaced, may_pass_on=True)


def interpolated(given: Given, known: _Values) -> Given:
    """The variable with those in its value replaced as Compose does, and where they are from."""

    def lookup(name: str) -> str | None:
        return known[name].value if name in known else None

    try:
        done = interpolate(given.value, lookup)
    except InterpolationError as fault:
        return Given(given.name, "", given.origin, (*given.doubts, str(fault)), is_open=True)
    used = [known[name] for name in done.used]
    origin = ", with ".join([given.origin, *(f"{each.name} of {each.origin}" for each in used)])
    doubts = [*given.doubts, *(text for each in used for text in each.doubts)]
    if done.is_open:
        doubts.append(_NOT_SET)
    is_open = done.is_open or any(each.is_open for each in used)
    return Given(given.name, done.text, origin, tuple(dict.fromkeys(doubts)), is_open)


def _read(
    path: Path, replaced: Callable[[Given, _Values], Given], *, may_pass_on: bool = False
) -> list[Given]:
    found: dict[str, Given] = {}
    for binding in _statements(path):
        origin = place(path, env_file.line_of(binding))
        name, statement = binding.key or "", binding.original.string
        if binding.error or (binding.value is None and not may_pass_on):
            raise LiveFileError(f"{origin}: expected NAME=value")
        if binding.value is None:
            found[name] = Given(name, "", origin, (PASSED_ON,), is_open=True)
            continue
        difference = spellings.difference(statement, binding.value) or ""
        is_known = not difference or difference.startswith(spellings.EXPANDED)
        given = Given(name, binding.value, origin, () if is_known else (difference,))
        is_literal = statement.partition("=")[2].lstrip().startswith("'")
        found[name] = given if is_literal else replaced(given, found)
    return list(found.values())


def _statements(path: Path) -> Iterator[Binding]:
    for binding in parse_stream(io.StringIO(_with_equals(text_of(path)))):
        if binding.error or binding.key:
            yield binding


def _with_equals(text: str) -> str:
    """The text with = for each colon that ends a name to godotenv, as in `NAME: value`."""
    done = 0
    while True:
        for binding in parse_stream(io.StringIO(text[done:])):
            if name := _COLON.match(binding.original.string):
                text = f"{text[:done]}{name[1]}={text[done + name.end() :]}"
                break  # what it took for the rest of the statement is wrong
            done += len(binding.original.string)
        else:
            return text


def text_of(path: Path) -> str:
    """The text of a file. Raises LiveFileError."""
    try:
        return regular_file.read(path)[0].decode("utf-8-sig")
    except OSError as error:
        raise LiveFileError(f"{path} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise LiveFileError(f"{path} is not UTF-8 text") from None


def _expanded(given: Given, before: _Values) -> Given:
    def value_of(found: re.Match[str]) -> str:
        if found[1]:
            return found[0][1:]
        if not found[2]:
            return found[0]
        return before[found[2]].value if found[2] in before else ""

    value = _EXPANDED.sub(value_of, given.value)
    return Given(given.name, value, given.origin, given.doubts)
