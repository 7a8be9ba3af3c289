"""A list in pages: so many rows, and where the next begin."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from werkzeug.datastructures import MultiDict

ROWS = 50


@dataclass(frozen=True, slots=True)
class Rows:
    """Some rows of a list; ``older`` is where the next begin, None at the end."""

    rows: Sequence[Mapping[str, Any]]
    older: int | None


def rows_of(found: Iterator[Mapping[str, Any]], query: MultiDict[str, str]) -> Rows:
    """The rows that ``?before=`` asks for; of ``found`` no more is read."""
    start = max(0, query.get("before", 0, type=int))
    rows = list(islice(found, start, start + ROWS + 1))
    return Rows(rows[:ROWS], start + ROWS if len(rows) > ROWS else None)
