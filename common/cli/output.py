"""What the commands print and ask: to any pipe, in any encoding, without control characters."""

import contextlib
import json
import os
import sys
from collections.abc import Iterable
from dataclasses import asdict, is_dataclass
from datetime import datetime
from typing import Protocol

from common import standard_files
from common.logging.redaction import redact

# Of a line on standard error; the middle of a longer one is cut out.
MOST_CHARACTERS = 1_000


class Report(Protocol):
    """What a command has to show, with the same facts in both forms."""

    def as_text(self) -> str: ...

    def as_json(self) -> str: ...


class OutputError(Exception):
    """Standard output cannot be written; ``reason`` is the error."""

    def __init__(self, reason: OSError) -> None:
        self.reason = reason
        super().__init__(reason.strerror)


def open_streams() -> None:
    """Let standard output and error fail if they are closed, and escape what they cannot encode."""
    standard_files.occupy_closed(os.O_RDONLY)
    sys.stdout, sys.stderr = (
        os.fdopen(
            number,
            "w",
            buffering=buffering,
            encoding=stream.encoding if stream else None,
            errors="backslashreplace",
            closefd=False,
        )
        for number, buffering, stream in ((1, -1, sys.stdout), (2, 1, sys.stderr))
    )


def close_streams() -> None:
    """Drop what cannot be written: Python would end with another exit code because of it."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def write_raw(text: str) -> None:
    """Write the text to standard output as it is. Raises OutputError."""
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except OSError as error:
        raise OutputError(error) from error


def show(text: str) -> None:
    """Print the text on standard output, with control characters escaped. Raises OutputError."""
    write_raw(f"{printable(text)}\n")


def show_lines(lines: Iterable[str]) -> None:
    """Print lines that may be many, as they come. Raises OutputError."""
    try:
        for line in lines:
            sys.stdout.write(f"{printable(line)}\n")
        sys.stdout.flush()
    except OSError as error:
        raise OutputError(error) from error


def show_report(report: Report, *, as_json: bool) -> None:
    """Show the report in one of its forms. Raises OutputError."""
    show(report.as_json() if as_json else report.as_text())


def can_ask() -> bool:
    """Whether a person can answer a question: input and output are a terminal."""
    return sys.stdin.isatty() and sys.stdout.isatty()


def ask(question: str) -> bool:
    """Ask at the terminal; True only if the answer is yes. Raises OutputError."""
    write_raw(f"{question} [y/N] ")
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def complain(text: str) -> str:
    """Print the text on standard error, redacted, escaped and cut, and return it like that."""
    text = "\n".join(map(_cut, printable(redact(text)).split("\n")))
    with contextlib.suppress(OSError):
        print(text, file=sys.stderr)
    return text


def printable(text: str, keep: str = "\n") -> str:
    """The text with the characters escaped that could control a terminal, except ``keep``."""
    return "".join(
        each if each.isprintable() or each in keep else each.encode("unicode_escape").decode()
        for each in text
    )


def as_json(value: object) -> str:
    """The value in one line of ASCII characters; times in RFC 3339."""
    return json.dumps(value, default=_plain).replace("\x7f", r"\u007f")


def _plain(value: object) -> object:
    if is_dataclass(value) and not isinstance(value, type):
        return asdict(value)
    return value.isoformat() if isinstance(value, datetime) else str(value)


def _cut(line: str) -> str:
    half = MOST_CHARACTERS // 2
    return line if len(line) <= MOST_CHARACTERS else f"{line[:half]} ... {line[-half:]}"
