"""The schedulers that only use the database: rows that are due, and rows that stay.

A module per service; ``CASES`` has those of all modules.
"""

from importlib import import_module
from pathlib import Path

from testing.scheduler_rows import Case

_MODULES = sorted(path.stem for path in Path(__file__).parent.glob("[!_]*.py"))

CASES: tuple[Case, ...] = tuple(
    case for name in _MODULES for case in import_module(f"{__name__}.{name}").CASES
)
