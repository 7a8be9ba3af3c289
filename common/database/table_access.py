"""What a scheduler does with its tables: columns that it reads and writes, indexes that it needs.

`toast check` compares it with the database and the rights of our role; db/roles.sql is generated
from it.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Self

# Types as PostgreSQL's format_type writes them, without a length.
BIGINT = "bigint"
BOOLEAN = "boolean"
JSON = "jsonb"
TEXT = "text"
TIME = "timestamp with time zone"
UUID = "uuid"


# Text and parameters, in which a word is no column.
_NO_NAMES = re.compile(r"'[^']*'|%\(\w+\)s")


@dataclass(frozen=True, slots=True)
class Table:
    """A table, and the type of every column that workers use.

    Without columns it is one of our own tables, which migrations define.
    """

    name: str
    columns: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_live(self) -> bool:
        return bool(self.columns)

    def columns_in(self, sql: str, alias: str = "") -> tuple[str, ...]:
        """The columns that ``sql`` names, ``ctid`` included; only as ``alias.column`` if given."""
        code = _NO_NAMES.sub(" ", sql)
        named = re.findall(rf"\b{alias}\.(\w+)" if alias else r"\w+", code)
        return tuple(name for name in ("ctid", *self.columns) if name in named)


@dataclass(frozen=True, slots=True)
class Index:
    """An index: its first columns and, if it is partial, its condition.

    The condition is simple terms joined by AND, such as ``status = 'draft'``.
    """

    columns: tuple[str, ...]
    where: str = ""


@dataclass(frozen=True, slots=True)
class TableAccess:
    """How one scheduler uses one table.

    ``select``, ``insert`` and ``update`` name columns; ``select`` may have ``ctid``. Indexes:
    ``unique`` has the columns of an ON CONFLICT, ``needs`` those without which a batch is too slow,
    ``profits`` those that make a pass cheap if no row is due; with ``is_timed``, they also find the
    next row that will be.
    """

    table: Table
    select: tuple[str, ...] = ()
    insert: tuple[str, ...] = ()
    update: tuple[str, ...] = ()
    delete: bool = False
    unique: tuple[tuple[str, ...], ...] = ()
    needs: tuple[Index, ...] = ()
    profits: tuple[Index, ...] = ()
    is_timed: bool = False

    @classmethod
    def reading(cls, table: Table, alias: str, sql: str, *, needs: tuple[Index, ...] = ()) -> Self:
        """The use of a table of which ``sql`` reads ``alias.column``."""
        return cls(table, select=table.columns_in(sql, alias), needs=needs)
