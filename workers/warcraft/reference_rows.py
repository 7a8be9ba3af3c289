"""Factions, races and classes: found by their key, or created, without duplicates."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from common.database.session import Connection
from workers.warcraft.battle_net.json_reader import Reader

# Tries to find a row that another transaction creates at the same time.
MOST_TRIES = 10


@dataclass(frozen=True, slots=True)
class Reference:
    """A faction, race or class as the live tables name it."""

    key: str
    name: str

    @classmethod
    def named(cls, name: str) -> "Reference":
        """A race or class: its key is its name in lower case with '-' for spaces."""
        return cls(name.lower().replace(" ", "-"), name)


def read_faction(reply: Reader) -> Reference:
    """The faction of a character's or guild's reply: its key is the API's type in lower case."""
    return Reference(reply.text("faction", "type").lower(), reply.text("faction", "name"))


def faction_id(connection: Connection, faction: Reference, now: datetime) -> UUID:
    return _find_or_create(connection, _FACTION, faction, now)


def race_id(connection: Connection, race: Reference, faction: UUID, now: datetime) -> UUID:
    """A race of both factions keeps the faction it was first seen with, as in the live service."""
    return _find_or_create(connection, _RACE, race, now, faction)


def class_id(connection: Connection, playable_class: Reference, now: datetime) -> UUID:
    return _find_or_create(connection, _CLASS, playable_class, now)


def _find_or_create(
    connection: Connection,
    statement: str,
    reference: Reference,
    now: datetime,
    faction: UUID | None = None,
) -> UUID:
    values = {"key": reference.key, "name": reference.name, "now": now, "faction": faction}
    for _ in range(MOST_TRIES):
        row = connection.execute(statement, values).fetchone()
        if row:
            found: UUID = row["id"]
            return found
        # Another transaction created it while this statement ran: the next one sees the row.
    raise LookupError(f"{reference.key} can neither be found nor created")


def _statement(table: str, columns: str, values: str) -> str:
    return f"""
    WITH found AS (
        SELECT id FROM {table} WHERE key = %(key)s
    ), created AS (
        INSERT INTO {table} (key, name, created_at, updated_at{columns})
        SELECT %(key)s, %(name)s, %(now)s, %(now)s{values}
        WHERE NOT EXISTS (SELECT FROM found)
        ON CONFLICT (key) DO NOTHING
        RETURNING id
    )
    SELECT id FROM found UNION ALL SELECT id FROM created"""


_FACTION = _statement("factions", "", "")
_RACE = _statement("races", ", faction_id", ", %(faction)s")
_CLASS = _statement("classes", "", "")
