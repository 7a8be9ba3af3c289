"""Plain text tables for a terminal."""

from collections.abc import Iterable, Sequence

from common.cli.output import printable

GAP = "  "


def render(header: Sequence[str], rows: Iterable[Iterable[object]]) -> str:
    """Aligned columns under a header in capitals; columns of numbers align to the right.

    Characters that are not printable are escaped.
    """
    body = [list(row) for row in rows]
    lines = [[name.upper() for name in header], *(list(map(_cell, row)) for row in body)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    numeric = [all(isinstance(row[i], int | float) for row in body) for i in range(len(header))]
    return "\n".join(
        GAP.join(
            cell.rjust(width) if right else cell.ljust(width)
            for cell, width, right in zip(line, widths, numeric, strict=True)
        ).rstrip()
        for line in lines
    )


def _cell(value: object) -> str:
    return printable(str(value), keep="")
