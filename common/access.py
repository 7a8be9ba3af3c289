"""What a scheduler does with the live tables: which columns it reads and writes, of which type.

`toast check` compares it with the database and with the rights of our role, and the roles of
`db/roles.sql` are granted by it.
"""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Index:
    """An index that serves a scheduler: its columns, and the condition of a partial one."""

    columns: tuple[str, ...]
    where: str = ""


@dataclass(frozen=True, slots=True)
class Access:
    """One live table as one scheduler uses it.

    ``columns`` maps every column that is used, in whatever way, to its type as PostgreSQL's
    format_type writes it, without a length. ``select``, ``insert`` and ``update`` name columns.
    ``needs`` are indexes without which it is slow beyond use (references), ``profits`` those
    that make an idle pass cheap on a big table.
    """

    table: str
    columns: Mapping[str, str]
    select: tuple[str, ...] = ()
    insert: tuple[str, ...] = ()
    update: tuple[str, ...] = ()
    delete: bool = False
    needs: tuple[Index, ...] = ()
    profits: tuple[Index, ...] = ()
