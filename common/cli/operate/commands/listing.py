"""Lists of rows: a table of the first ones, or every row as one JSON object a line."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from itertools import islice
from typing import Any

from common.cli import output, text_table

MOST_ROWS = 100

Row = Mapping[str, Any]


def show(
    rows: Iterable[Row],
    header: Sequence[str],
    cells: Callable[[Row], Sequence[object]],
    *,
    as_json: bool,
    title: str = "",
    none: str = "",
) -> None:
    """Print the rows; in text below ``title``, or ``none`` if there is none."""
    if as_json:
        output.show_lines(map(output.as_json, rows))
        return
    first = list(islice(rows, MOST_ROWS + 1))
    lines = [title] if title else []
    if first:
        lines.append(text_table.render(header, map(cells, first[:MOST_ROWS])))
    elif none:
        lines.append(none)
    if len(first) > MOST_ROWS:
        lines.append(f"(the first {MOST_ROWS} are shown; --json has all)")
    output.show("\n".join(lines))


def show_one(row: Row, *, as_json: bool) -> None:
    """Print every field of one row, a line each."""
    if as_json:
        output.show(output.as_json(row))
        return
    width = max(map(len, row))
    output.show("\n".join(f"{name:{width}}  {moment(value)}" for name, value in row.items()))


def moment(value: object) -> object:
    """A time to the second, in UTC as the session has it; other values as they are."""
    return f"{value:%Y-%m-%d %H:%M:%S}" if isinstance(value, datetime) else value
