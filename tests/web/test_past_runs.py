"""Passes by periods: counted in SQL, and those of the past not again with every request."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest

from common.cli.status.run_periods import Period
from testing.database import TestDatabase
from tests.web.recorded_runs import LINK, add_run
from web import past_runs
from web.past_runs import PastRuns

HOUR = timedelta(hours=1)
NOW = datetime(2026, 3, 4, 12, 10, tzinfo=UTC)


def read(database: TestDatabase, past: PastRuns, now: datetime = NOW) -> Sequence[Period]:
    with database.session() as connection:
        return past.read(connection, [LINK], now)[LINK]


def begins(periods: Sequence[Period]) -> list[int]:
    return [each.began.hour for each in periods]


def test_periods_begin_at_whole_units_and_only_the_last_count(database: TestDatabase) -> None:
    past = PastRuns(HOUR, 4)
    assert past.first(NOW) == datetime(2026, 3, 4, 9, tzinfo=UTC)
    for at in (8.9, 9.0, 9.999, 12.1):
        add_run(database, NOW.replace(hour=0, minute=0) + at * HOUR)
    found = read(database, past)
    assert [(each.began.hour, each.ok) for each in found] == [(9, 2), (12, 1)]
    assert begins(read(database, past, NOW + HOUR)) == [12]


def test_a_pass_that_has_not_ended_is_in_no_count(database: TestDatabase) -> None:
    add_run(database, NOW, None)
    [found] = read(database, PastRuns(HOUR, 4))
    assert (found.ok, found.failed, found.stopped, found.skipped, found.paused) == (0,) * 5
    assert found.longest is None


def test_what_is_over_is_not_read_again_at_once(
    database: TestDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    past = PastRuns(HOUR, 4)
    for hours in (3, 2, 1, 0):
        add_run(database, NOW - hours * HOUR)
    assert begins(read(database, past)) == [9, 10, 11, 12]
    database.query("DELETE FROM toast_runs")
    # The last two are: a pass may have ended meanwhile.
    assert begins(read(database, past)) == [9, 10]
    # What was recorded late is found when that time is over.
    add_run(database, NOW - 3 * HOUR, "failed")
    assert [each.failed for each in read(database, past)] == [0, 0]
    monkeypatch.setattr(past_runs, "KEPT_SECONDS", 0.0)
    past = PastRuns(HOUR, 4)
    read(database, past)
    add_run(database, NOW - 2 * HOUR, "failed")
    assert [each.failed for each in read(database, past)] == [1, 1]


def test_what_is_kept_does_not_outlive_its_time(database: TestDatabase) -> None:
    past = PastRuns(HOUR, 4)
    add_run(database, NOW - 3 * HOUR)
    assert begins(read(database, past)) == [9]
    assert begins(read(database, past, NOW + HOUR)) == []
