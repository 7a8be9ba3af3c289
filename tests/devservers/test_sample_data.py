"""The sample rows of `make run`: repeatable, and fit for the live tables."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta

from devservers import live_tables, sample_data
from devservers.sample_data.source import Row
from devservers.sample_data.twitch import CHAT_ONLY_STREAM
from testing.database import TestDatabase

NOW = datetime(2024, 2, 29, 12, 0, tzinfo=UTC)


def ids(tables: Mapping[str, Iterable[Row]]) -> list[object]:
    """In their order."""
    return [row["id"] for rows in tables.values() for row in rows]


def test_the_same_seed_and_moment_give_the_same_rows() -> None:
    rows = sample_data.generate(NOW, seed=7)

    assert repr(rows) == repr(sample_data.generate(NOW, seed=7))
    other = set(ids(sample_data.generate(NOW, seed=8)))
    assert not other & set(ids(rows)) - {CHAT_ONLY_STREAM}
    later = sample_data.generate(NOW + timedelta(days=1), seed=7)
    assert ids(later) == ids(rows)


def test_every_live_table_gets_rows(database: TestDatabase) -> None:
    with database.connect() as connection:
        counts = sample_data.load(connection, datetime.now(UTC))

    columns, _, _ = live_tables.facts()
    assert counts.keys() == {column.split("\t")[0] for column in columns}
    for table, count in counts.items():
        assert database.query(f"SELECT count(*) FROM {table}") == [{"count": count}]
