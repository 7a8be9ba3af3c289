"""The tables of docs/evidence.md, which `make chaos` and `make bench` write."""

import os
import platform
from pathlib import Path

from devservers.checkout import ROOT
from generate import regions

EVIDENCE = ROOT / "docs" / "evidence.md"


def write(region: str, text: str, path: Path = EVIDENCE) -> None:
    """Replace this region of the file. Raises ValueError if the file lacks it."""
    path.write_text(regions.replace(path.read_text(), region, text))


def figure(value: float, unit: str) -> str:
    """Whole numbers and thousands in full, others with three digits."""
    whole = value == int(value) or abs(value) >= 1000
    return f"{value:,.0f}{unit}" if whole else f"{value:.3g}{unit}"


def duration(seconds: float) -> str:
    """Minutes and seconds; from ten minutes on, minutes."""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min" if minutes >= 10 else f"{minutes}:{rest:02d} min"


def machine() -> str:
    """The machine and the Python that measured the figures of this process."""
    pages, size = os.sysconf("SC_PHYS_PAGES"), os.sysconf("SC_PAGE_SIZE")
    memory = round(pages * size / 2**30)
    return f"{os.cpu_count()} cores, {memory} GiB, Linux, Python {platform.python_version()}"
