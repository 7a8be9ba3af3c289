"""Sources of settings: the environment, systemd's credentials and the settings files."""

import io
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from dotenv.parser import Binding, parse_stream

from common.config import suggestions

CONFIG_DIR_VARIABLE = "TOAST_CONFIG_DIR"
# Set by systemd for a unit with LoadCredential=NAME:/path: a folder with a file NAME.
CREDENTIALS_DIR_VARIABLE = "CREDENTIALS_DIRECTORY"
_CONFIG_DIR = "/etc/toast"

_NAME = re.compile("[A-Z][A-Z0-9_]*")
# Shorter names are two slips away from too many unrelated ones.
_SHORTEST_RESEMBLED = 6
_MOST_SLIPS = 2


@dataclass(frozen=True, slots=True)
class Layer:
    """One source: its name, and the text of each variable that it sets."""

    origin: str
    values: Mapping[str, str]

    @property
    def place(self) -> str:
        return "the environment" if self.origin == "environment" else self.origin


def read_layers(service: str, environment: Mapping[str, str]) -> tuple[list[Layer], list[str]]:
    """The environment, credentials and files, highest first, and their faults."""
    chosen = environment.get(CONFIG_DIR_VARIABLE)
    directory = Path(chosen or _CONFIG_DIR)
    layers, faults = [Layer("environment", dict(environment))], []
    if chosen and not directory.is_dir():
        faults.append(f"{CONFIG_DIR_VARIABLE} is {chosen!r}; expected the path of a folder")
    credentials = environment.get(CREDENTIALS_DIR_VARIABLE)
    if credentials:
        values, credential_faults = _read_credentials(Path(credentials))
        layers.append(Layer(credentials, values))
        faults += credential_faults
    for path in (Path(".env"), directory / f"{service}.env", directory / "toast.env"):
        values, file_faults = _read_file(path)
        layers.append(Layer(str(path), values))
        faults += file_faults
    return layers, faults


def values_of(layers: Iterable[Layer], names: Collection[str]) -> tuple[str, ...]:
    """Every value of these variables in any layer, used or not."""
    return tuple(value for layer in layers for name, value in layer.values.items() if name in names)


def warnings(layers: Iterable[Layer], names: Collection[str]) -> tuple[str, ...]:
    """One line for each variable that is set, ignored, and may be a mistake."""
    return (*_resemblances(layers, names), *_ignored(layers))


def _resemblances(layers: Iterable[Layer], names: Collection[str]) -> tuple[str, ...]:
    """The unknown variables that look like a misspelt known one."""
    known = {CONFIG_DIR_VARIABLE, *names}
    long = [name for name in known if len(name) >= _SHORTEST_RESEMBLED]
    return tuple(
        f"{name} in {layer.place} is not a setting; did you mean {meant}?"
        for layer in layers
        for name in layer.values
        if name not in known and name.isprintable()
        if (meant := suggestions.nearest(name, long, slips=_MOST_SLIPS))
    )


def _ignored(layers: Iterable[Layer]) -> Iterator[str]:
    for layer in layers:
        if layer.origin == "environment" and (names := ", ".join(libpq_variables(layer.values))):
            yield f"{names} in {layer.place}: only the DB_ settings lead to PostgreSQL"


def libpq_variables(environment: Mapping[str, str]) -> list[str]:
    """The variables of PostgreSQL's client library; all their names begin with PG."""
    return sorted(filter(re.compile("PG[A-Z]+").fullmatch, environment))


def _read_credentials(directory: Path) -> tuple[dict[str, str], list[str]]:
    """Read a folder with one file per setting; one line end at the end is dropped.

    Files with another kind of name, such as a key that a setting points to, are left alone.
    """
    values, faults = {}, []
    try:
        for path in sorted(directory.iterdir()):
            if not _NAME.fullmatch(path.name):
                continue
            values[path.name] = path.read_text("utf-8").removesuffix("\n")
    except OSError as error:
        faults.append(f"{error.filename} cannot be read: {error.strerror}")
    except UnicodeDecodeError:
        faults.append(f"{path} is not UTF-8 text")
    return values, faults


def _read_file(path: Path) -> tuple[dict[str, str], list[str]]:
    """Read one file of NAME=value lines, by python-dotenv's rules, without interpolation.

    A missing file counts as empty. The parser is used directly because `dotenv_values` drops
    malformed lines, which must be reported.
    """
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return {}, []
    except OSError as error:
        return {}, [f"{path} cannot be read: {error.strerror}"]
    try:
        lines = io.StringIO(content.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        return {}, [f"{path} line {line}: not UTF-8 text"]
    bindings = [binding for binding in parse_stream(lines) if binding.error or binding.key]
    faults = [
        f"{path} line {_line(binding)}: expected NAME=value"
        for binding in bindings
        if binding.value is None
    ]
    return {b.key: b.value for b in bindings if b.key and b.value is not None}, faults


def _line(binding: Binding) -> int:
    """Count from the statement itself: python-dotenv counts from the blank lines before it."""
    statement = binding.original.string
    blank = statement[: len(statement) - len(statement.lstrip())]
    return binding.original.line + blank.count("\n")
