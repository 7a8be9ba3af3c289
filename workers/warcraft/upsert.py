"""SQL that creates a row or updates the one that is there, and the columns that it uses."""

from collections.abc import Mapping
from dataclasses import dataclass

from common.database import Table, TableAccess


@dataclass(frozen=True, slots=True)
class Upsert:
    """Writes a row of ``table`` for each row of ``source``, which is the SQL after FROM.

    ``key`` are the unique columns. ``values`` maps columns to their SQL; other columns get the
    parameter of their name, and ``created_at`` and ``updated_at`` the time ``now``. A row that has
    these values already stays as it is, unless ``always``.
    """

    table: Table
    source: str
    key: tuple[str, ...]
    values: Mapping[str, str]
    always: bool = False

    @property
    def sql(self) -> str:
        """The statement, to which a RETURNING may be added."""
        columns = self._columns
        changes = [name for name in columns if name not in (*self.key, "created_at", "updated_at")]
        known, excluded = (
            ", ".join(f"{row}.{name}" for name in changes) for row in ("known", "excluded")
        )
        return f"""
    INSERT INTO {self.table.name} AS known ({", ".join(columns)})
    SELECT {", ".join(columns.values())} FROM {self.source}
    ON CONFLICT ({", ".join(self.key)}) DO UPDATE
    SET ({", ".join(changes)}, updated_at) = ({excluded}, excluded.updated_at)
    WHERE {self.always} OR ({known}) IS DISTINCT FROM ({excluded})"""

    @property
    def access(self) -> TableAccess:
        """The columns that it uses."""
        columns = self._columns
        return TableAccess(
            self.table,
            select=tuple(name for name in columns if name != "created_at"),
            insert=tuple(columns),
            update=tuple(name for name in columns if name not in (*self.key, "created_at")),
            unique=(self.key,),
        )

    @property
    def _columns(self) -> dict[str, str]:
        """Every column with its SQL."""
        return {
            **{name: f"%({name})s" for name in self.table.columns},
            **dict.fromkeys(("created_at", "updated_at"), "%(now)s"),
            **self.values,
        }
