"""How late rows were: counted by the statement that changes them, from their own moments."""

from collections.abc import Mapping
from datetime import timedelta

import pytest

from common.metrics import LATENESS_SECONDS
from common.scheduling.due.lateness import UNKNOWN, Lateness
from common.scheduling.scheduler import PassResult
from common.scheduling.work import batched_pass
from testing.database import TestDatabase
from testing.passes import DAY, HOUR, MICROSECOND, MINUTE, NOW, run_pass
from testing.scheduler_cases.foodfolio import item, variant
from testing.scheduler_cases.link import link
from testing.scheduler_cases.twitchbot import message, stream
from testing.scheduler_cases.webhook import delivery
from tests.support.odd_values import ALWAYS, make_odd
from workers.foodfolio import item_expiration, stock_level
from workers.link import link_expiration
from workers.twitchbot import message_cleanup, stream_closer
from workers.webhook import webhook_retry

SECOND = timedelta(seconds=1)


def up_to(result: PassResult) -> Mapping[float, int]:
    """The numbers of rows that are not 0, by the upper limit of their class; 0: above all."""
    limits = (*LATENESS_SECONDS, 0)
    return {limit: n for limit, n in zip(limits, result.lateness.counts, strict=True) if n}


@pytest.mark.parametrize("batch_rows", [batched_pass.BATCH_ROWS, 1])
def test_each_row_is_counted_in_its_class(
    batch_rows: int, database: TestDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batched_pass, "BATCH_ROWS", batch_rows)
    late = [0 * DAY, SECOND / 10, SECOND / 10 + MICROSECOND, SECOND, HOUR, DAY, DAY + SECOND]
    for each in late:
        link(expires_at=NOW - each).insert(database)

    result = run_pass(database, link_expiration.SCHEDULER)

    assert up_to(result) == {0.1: 2, 0.3: 1, 1: 1, 3600: 1, 86_400: 1, 0: 1}
    assert result.lateness.seconds == pytest.approx(sum(late, 0 * DAY).total_seconds())


def test_a_row_without_a_time_is_not_late(database: TestDatabase) -> None:
    stream(updated_at=None).insert(database)
    row = stream().insert(database)["id"]
    make_odd(database, "twitchbot_streams", "updated_at", row, ALWAYS)
    stream(updated_at=NOW - DAY - MINUTE).insert(database)

    result = run_pass(database, stream_closer.SCHEDULER)

    assert (result.processed, up_to(result)) == (3, {100: 1})


def test_an_alert_is_late_when_it_is_raised_first_and_by_its_newest_facts(
    database: TestDatabase,
) -> None:
    item(expiry_date=NOW + 7 * DAY - MINUTE).insert(database)
    first = run_pass(database, item_expiration.SCHEDULER)
    repeated = run_pass(database, item_expiration.SCHEDULER, now=NOW + DAY)
    expired = run_pass(database, item_expiration.SCHEDULER, now=NOW + 7 * DAY)

    assert (up_to(first), first.lateness.seconds) == ({100: 1}, 60)
    assert (repeated.events, up_to(repeated) if repeated.lateness.counts else {}) == (1, {})
    assert (up_to(expired), expired.lateness.seconds) == ({100: 1}, 60)


def test_what_became_due_by_a_change_is_late_since_then(database: TestDatabase) -> None:
    delivery(updated_at=NOW - MINUTE).insert(database)
    assert up_to(run_pass(database, webhook_retry.SCHEDULER)) == {100: 1}


def test_what_may_wait_is_never_late(database: TestDatabase) -> None:
    variant(1).insert(database)
    message().insert(database)
    for scheduler in (stock_level.SCHEDULER, message_cleanup.SCHEDULER):
        result = run_pass(database, scheduler)
        assert (result.processed, result.lateness) == (1, UNKNOWN)


def test_one_row_at_a_time_is_counted_alike() -> None:
    total = UNKNOWN
    for late in (0.05, 0.1, 5, 1e6, float("inf"), float("nan")):
        total = total.plus(Lateness.of(late))
    assert sum(total.counts) == 4
    assert up_to(PassResult(lateness=total)) == {0.1: 2, 10: 1, 0: 1}
    assert total.seconds == pytest.approx(1_000_005.15)
