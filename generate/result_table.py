"""Tables in the README that are written by what they tell of."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterable, Sequence
from pathlib import Path

from devservers.child_processes import ROOT

README = ROOT / "README.md"


def write(target: str, text: str, readme: Path = README) -> None:
    """Put ``text`` between the two lines that say what `make TARGET` has written before.

    Raises ValueError where the file has no such lines.
    """
    begin, end = (f"<!-- make {target}: {word} -->\n" for word in ("begin", "end"))
    before, found, rest = readme.read_text().partition(begin)
    _, ended, after = rest.partition(end)
    if not (found and ended):
        raise ValueError(f"{readme.name} lacks the lines {begin.strip()} and {end.strip()}")
    readme.write_text(f"{before}{begin}{text}{end}{after}")


def render(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """The lines of a table in Markdown."""
    head = [f"| {' | '.join(columns)} |", "| --- " * len(columns) + "|"]
    return [*head, *(f"| {' | '.join(row)} |" for row in rows)]


def figure(value: float, unit: str = "") -> str:
    """Whole numbers and thousands in full, others with three digits."""
    whole = value == int(value) or abs(value) >= 1000
    return f"{value:,.0f}{unit}" if whole else f"{value:.3g}{unit}"


def duration(seconds: float) -> str:
    """Minutes and seconds, from ten minutes on without the latter."""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min" if minutes >= 10 else f"{minutes}:{rest:02d} min"


def machine() -> str:
    """What the figures of this process were found on."""
    pages, size = os.sysconf("SC_PHYS_PAGES"), os.sysconf("SC_PAGE_SIZE")
    memory = round(pages * size / 2**30)
    return f"{os.cpu_count()} cores, {memory} GiB, Linux, Python {platform.python_version()}"
