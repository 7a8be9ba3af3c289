"""One settings file: NAME=value lines, by python-dotenv's rules, without interpolation."""

import codecs
import io
import os
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from dotenv.parser import Binding, parse_stream

from common.config.settings_files import regular_file, spellings


@dataclass(frozen=True, slots=True)
class Layer:
    """One source: its name, the text of each variable that it sets, and what is wrong with it.

    Each remark is a warning with the name of the variable that it is about, or None.
    ``is_settings_file``: it has nothing but settings.
    """

    origin: str
    values: Mapping[str, str]
    faults: tuple[str, ...] = ()
    remarks: tuple[tuple[str | None, str], ...] = ()
    is_settings_file: bool = False

    @property
    def path(self) -> Path:
        return Path(self.origin)

    @property
    def place(self) -> str:
        return "the environment" if self.origin == "environment" else self.origin


def read(path: Path) -> Layer:
    """Read a file; one that is missing counts as empty.

    The parser is used directly because `dotenv_values` drops malformed lines, which are faults.
    """
    origin = str(path)
    try:
        content, status = regular_file.read(path)
        lines = io.StringIO(content.decode("utf-8-sig"))
    except OSError as error:
        missing = isinstance(error, FileNotFoundError) and not path.is_symlink()
        faults = () if missing else (f"{path} cannot be read: {error.strerror}",)
        return Layer(origin, {}, faults)
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        return Layer(origin, {}, (f"{path} line {line}: not UTF-8 text",))
    bindings = [binding for binding in parse_stream(lines) if binding.error or binding.key]
    return Layer(
        origin,
        {b.key: b.value for b in bindings if b.key and b.value is not None and ":" not in b.key},
        tuple(
            f"{path} line {line_of(binding)}: expected NAME=value"
            for binding in bindings
            if binding.value is None
        ),
        (
            *((None, f"{path} {reason}") for reason in _doubts(content, status)),
            *_remarks(path, bindings),
        ),
        is_settings_file=True,
    )


def _doubts(content: bytes, status: os.stat_result) -> Iterator[str]:
    """What is odd about the file as a whole."""
    if status.st_mode & 0o022:
        yield "may be written by other users; run chmod go-w on it"
    if status.st_uid not in (0, os.geteuid()):
        yield "belongs to another user, who may change it; run chown on it"
    if content.startswith(codecs.BOM_UTF8):
        yield spellings.BYTE_ORDER_MARK


def _remarks(path: Path, bindings: list[Binding]) -> Iterator[tuple[str, str]]:
    """What is odd about a statement."""
    lines: dict[str, list[str]] = defaultdict(list)
    for binding in bindings:
        if binding.key and binding.value is not None:
            name = binding.key.partition(":")[0]
            lines[name].append(str(line_of(binding)))
            if text := spellings.difference(binding.original.string, binding.value):
                yield name, f"{name} in {path} line {line_of(binding)}: {text}"
    for name, several in lines.items():
        if len(several) > 1:
            listed = ", ".join(several)
            yield name, f"{name} in {path} is set in lines {listed}; only the last one counts"


def line_of(binding: Binding) -> int:
    """The line of a statement: python-dotenv counts from the blank lines before it."""
    statement = binding.original.string
    blank = statement[: len(statement) - len(statement.lstrip())]
    return binding.original.line + blank.count("\n")
