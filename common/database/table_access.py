"""What a scheduler does with its tables: columns that it reads and writes, indexes that it needs.

`toast check` compares it with the database and the rights of our role; db/roles.sql is generated
from it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

# Types as PostgreSQL's format_type writes them, without a length.
BIGINT = "bigint"
BOOLEAN = "boolean"
JSON = "jsonb"
TEXT = "text"
TIME = "timestamp with time zone"
UUID = "uuid"


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
    ``profits`` those that make a pass cheap if no row is due.
    """

    table: Table
    select: tuple[str, ...] = ()
    insert: tuple[str, ...] = ()
    update: tuple[str, ...] = ()
    delete: bool = False
    unique: tuple[tuple[str, ...], ...] = ()
    needs: tuple[Index, ...] = ()
    profits: tuple[Index, ...] = ()
