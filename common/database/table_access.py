"""What a scheduler does with its tables: which columns it reads and writes, and which indexes
serve it.

`toast check` compares it with the database and with the rights of our role; the roles of
db/roles.sql are granted by it.
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
    """A table, and the type of every column of it that workers use.

    Without columns it is one of our own: its migrations see to them.
    """

    name: str
    columns: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_live(self) -> bool:
        return bool(self.columns)


@dataclass(frozen=True, slots=True)
class Index:
    """An index by its first columns and, where it is a partial one, its condition.

    The condition is terms joined by AND, each as simple as ``status = 'draft'``.
    """

    columns: tuple[str, ...]
    where: str = ""


@dataclass(frozen=True, slots=True)
class TableAccess:
    """One table as one scheduler uses it.

    ``select``, ``insert`` and ``update`` name columns; ``ctid`` may be among the first. Of the
    indexes, ``unique`` are the columns that an ON CONFLICT names, ``needs`` those without
    which a batch takes longer than anybody waits, ``profits`` those that make a pass cheap
    which finds nothing to do.
    """

    table: Table
    select: tuple[str, ...] = ()
    insert: tuple[str, ...] = ()
    update: tuple[str, ...] = ()
    delete: bool = False
    unique: tuple[tuple[str, ...], ...] = ()
    needs: tuple[Index, ...] = ()
    profits: tuple[Index, ...] = ()
