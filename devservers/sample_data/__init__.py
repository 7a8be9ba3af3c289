"""Sample rows for every live table: due ones, and ones that must not change.

``load`` writes them into empty tables. The same seed and time give the same rows, with the same
ids. No real data: hosts are example hosts, secrets are marked as false.
"""

from datetime import datetime
from typing import Any

import psycopg
from psycopg import sql

from devservers import live_tables
from devservers.sample_data import content, deliveries, food, twitch, warcraft
from devservers.sample_data.source import OPTIONAL, Remotes, Row, Source

SEED = 20_240_229
NOWHERE = Remotes()

_SERVICES = (content, food, deliveries, twitch, warcraft)


def generate(now: datetime, seed: int = SEED, remotes: Remotes = NOWHERE) -> dict[str, list[Row]]:
    """The rows of each table, parents before their children; times are relative to `now`."""
    source = Source(seed, now, remotes)
    for service in _SERVICES:
        service.add_rows(source)
    return source.rows


def load(
    connection: psycopg.Connection[Any], now: datetime, seed: int = SEED, remotes: Remotes = NOWHERE
) -> dict[str, int]:
    """Write the rows into empty tables, in one transaction; returns the count by table."""
    tables = generate(now, seed, remotes)
    with connection.transaction():
        for table, rows in tables.items():
            _copy(connection, table, rows)
    return {table: len(rows) for table, rows in tables.items()}


def _copy(connection: psycopg.Connection[Any], table: str, rows: list[Row]) -> None:
    """Write the rows of one table; what they do not give is what a Go service writes."""
    name = sql.Identifier(table)
    with connection.cursor() as cursor:
        cursor.execute(sql.SQL("SELECT * FROM {} LIMIT 0").format(name))
        present = [column.name for column in cursor.description or ()]
        unknown = rows[0].keys() - {*present, *OPTIONAL}
        assert not unknown, f"{table} has no {unknown}"
        missing = {
            column["name"]: live_tables.zero_value(column)
            for column in live_tables.without_default(connection, table)
        }
        columns = [column for column in present if column in {**missing, **rows[0]}]
        names = sql.SQL(", ").join(map(sql.Identifier, columns))
        with cursor.copy(sql.SQL("COPY {} ({}) FROM STDIN").format(name, names)) as copy:
            for row in rows:
                values = {**missing, **row}
                copy.write_row([values[column] for column in columns])
