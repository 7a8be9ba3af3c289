"""The characters or guilds that are due: their SQL, and how a pass reads them."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from common.config import Variable
from common.database import Table
from common.events.envelope import Event
from common.scheduling import Condition, Pass
from common.scheduling.work.due_rows import DueRows, all_of, is_announced, not_set_aside
from common.scheduling.work.one_row import OneRow
from workers.warcraft.battle_net.client import REGION

# A subject is due after this share of the interval: less than 1, so that a pass that starts a
# little early still finds what the last pass synced; a restart or another machine repeats nothing.
DUE_AFTER = 0.9
PAGE_ROWS = 500

# When a subject became due; NULL, as old as can be, if it was never synced.
_SINCE = "last_synced_at + (%(now)s - %(synced_before)s)"

# The position is a time as PostgreSQL's text: Python has neither infinity nor all years of
# PostgreSQL, and a changed time would be another position.
_PAGE = """
SELECT id, name, realm, region, place::text AS place,
       {is_announced} IS TRUE AS is_announced
FROM (SELECT *, coalesce(last_synced_at, '-infinity') AS place FROM ({due}) AS due) AS due
WHERE %(after)s::uuid IS NULL OR (place, id) > (%(place)s::timestamptz, %(after)s::uuid)
ORDER BY due.place, id
LIMIT %(rows)s"""


@dataclass(frozen=True, slots=True)
class SyncSubject:
    """One character or guild to sync; ``region`` is that of the API to call. Its sync leaves no
    event unless ``is_announced``."""

    id: UUID
    name: str
    realm: str
    region: str
    is_announced: bool

    def __str__(self) -> str:
        return f"{self.name} of {self.realm} ({self.region})"


def region_of(row: str) -> str:
    """SQL: the region of a character or guild, that of the settings if the row names none."""
    return f"coalesce(nullif(lower({row}.region), ''), %(default_region)s)"


@dataclass(frozen=True, kw_only=True)
class DueSubjects:
    """The due subjects of one scheduler.

    ``kind`` is what a subject is called, also as the alias of its ``table``, to which ``joined``
    may join others; ``last_synced`` is the column of its last sync. Each of the ``events`` may be
    left by a subject.
    """

    kind: str
    table: Table
    joined: str = ""
    last_synced: str
    interval: Variable[Any]
    events: tuple[Event, ...]

    @property
    def due(self) -> tuple[Condition, ...]:
        """When a subject is due."""
        synced = self.last_synced
        return (
            Condition("not deleted", f"{self.kind}.deleted_at IS NULL"),
            Condition(
                "not synced within the interval",
                f"{synced} IS NULL OR {synced} <= %(synced_before)s",
                shows={"last_synced_at": synced},
            ),
            not_set_aside(f"{self.kind}.id"),
        )

    @property
    def _shown(self) -> tuple[str, ...]:
        own = (f"{self.kind}.{name}" for name in ("id", "name", "realm"))
        region = f"{region_of(self.kind)} AS region"
        return (*own, region, f"{self.last_synced} AS last_synced_at")

    @property
    def _rows(self) -> str:
        return f"{self.table.name} AS {self.kind} {self.joined}"

    @property
    def _select(self) -> str:
        return f"""
SELECT {", ".join(self._shown)} FROM {self._rows} WHERE {all_of(self.due)}"""

    @property
    def due_rows(self) -> DueRows:
        """For a dry run and the backlog."""
        return DueRows(
            f"{self._select} ORDER BY last_synced_at NULLS FIRST, id",
            self.parameters,
            since=_SINCE,
            events=len(self.events),
        )

    @property
    def one_row(self) -> OneRow:
        """Why one subject is due, or not."""
        return OneRow(
            table=self.table,
            rows=self._rows,
            alias=self.kind,
            conditions=self.due,
            shows=self._shown,
            since=_SINCE,
            parameters=self.parameters,
            settings={"synced_before": self.interval},
        )

    def parameters(self, current: Pass) -> dict[str, Any]:
        """The parameters of the SQL above, in this pass."""
        return {
            "scheduler": current.scheduler,
            "now": current.now,
            "synced_before": current.now - current.settings[self.interval] * DUE_AFTER,
            "default_region": current.settings[REGION],
            "quiet_until": current.quiet_until,
        }

    def read(self, current: Pass) -> Iterator[SyncSubject]:
        """The due subjects, the stalest first, read a page at a time."""
        place: dict[str, Any] = {"after": None, "place": None, "rows": PAGE_ROWS}
        page = _PAGE.format(due=self._select, is_announced=is_announced(_SINCE))
        while rows := current.connection.execute(
            page, {**self.parameters(current), **place}
        ).fetchall():
            for row in rows:
                last = {"after": row["id"], "place": row.pop("place")}
                yield SyncSubject(**row)
            place |= last
