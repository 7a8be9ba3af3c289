"""The places that settings come from: the environment and the settings files."""

import io
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from dotenv.parser import Binding, parse_stream

CONFIG_DIR_VARIABLE = "TOAST_CONFIG_DIR"
_CONFIG_DIR = "/etc/toast"


@dataclass(frozen=True, slots=True)
class Layer:
    """One place: what it is called, and the text of each variable that it sets."""

    origin: str
    values: Mapping[str, str]

    @property
    def place(self) -> str:
        return "the environment" if self.origin == "environment" else self.origin


def read_layers(service: str, environment: Mapping[str, str]) -> tuple[list[Layer], list[str]]:
    """Read the environment and the files, highest first, and what is wrong with the files."""
    chosen = environment.get(CONFIG_DIR_VARIABLE)
    directory = Path(chosen or _CONFIG_DIR)
    layers, faults = [Layer("environment", dict(environment))], []
    if chosen and not directory.is_dir():
        faults.append(f"{CONFIG_DIR_VARIABLE} is {chosen!r}; expected the path of a folder")
    for path in (Path(".env"), directory / f"{service}.env", directory / "toast.env"):
        values, file_faults = _read_file(path)
        layers.append(Layer(str(path), values))
        faults += file_faults
    return layers, faults


def _read_file(path: Path) -> tuple[dict[str, str], list[str]]:
    """Read one file of NAME=value lines, by python-dotenv's rules, without interpolation.

    A missing file is an empty one. The parser is used directly because `dotenv_values`
    drops a malformed line where it should be reported.
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
