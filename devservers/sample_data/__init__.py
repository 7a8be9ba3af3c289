"""Sample rows for every live table: due ones, and ones that must not change.

``load`` writes them into empty tables. The same seed and time give the same rows, with the same
ids. No real data: hosts are example hosts, secrets are marked as false.
"""

from collections.abc import Iterator
from datetime import datetime
from itertools import groupby
from typing import Any

import psycopg
from psycopg import sql

from devservers.sample_data import content, deliveries, food, twitch, warcraft
from devservers.sample_data.source import Remotes, Row, Source

SEED = 20_240_229
NOWHERE = Remotes()

_SERVICES = (
    content.rows,
    food.rows,
    deliveries.notification_rows,
    deliveries.webhook_rows,
    twitch.rows,
    warcraft.rows,
)


def generate(now: datetime, seed: int = SEED, remotes: Remotes = NOWHERE) -> Iterator[Row]:
    """Every row, parents before their children; times are relative to `now`."""
    source = Source(seed, now, remotes)
    for rows in _SERVICES:
        yield from rows(source)


def load(
    connection: psycopg.Connection[Any], now: datetime, seed: int = SEED, remotes: Remotes = NOWHERE
) -> dict[str, int]:
    """Write the rows into empty tables, in one transaction; returns the count by table."""
    counts: dict[str, int] = {}
    with connection.transaction(), connection.cursor() as cursor:
        for table, group in groupby(generate(now, seed, remotes), key=lambda row: row.table):
            rows = [row.values for row in group]
            columns = list(rows[0])
            statement = sql.SQL("COPY {} ({}) FROM STDIN").format(
                sql.Identifier(table), sql.SQL(", ").join(map(sql.Identifier, columns))
            )
            with cursor.copy(statement) as copy:
                for values in rows:
                    copy.write_row([values[column] for column in columns])
            counts[table] = counts.get(table, 0) + len(rows)
    return counts
