"""After a pass, no row becomes due before the moment that is known of, and one is due then."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from uuid import UUID

import hypothesis
import pytest
from hypothesis import HealthCheck, Phase, given
from hypothesis import strategies as st

import workers
from common.scheduling.scheduler import Scheduler
from common.scheduling.work import due_rows
from testing.database import TestDatabase
from testing.passes import DAY, HOUR, MICROSECOND, MINUTE, NOW, open_pass
from testing.scheduler_cases import CASES
from testing.scheduler_cases.webhook import delivery, webhook
from testing.scheduler_rows import Row
from tests.support.odd_values import TIMES, make_odd

# In which column the time of a row is, and how long after it the row becomes due.
COLUMNS: Mapping[str, tuple[str, Sequence[timedelta]]] = {
    "post-publisher": ("published_at", [0 * DAY]),
    "item-expiration": ("expiry_date", [0 * DAY, -7 * DAY]),
    "link-expiration": ("expires_at", [0 * DAY]),
    "stream-closer": ("updated_at", [DAY]),
    "webhook-delivery": ("next_retry_at", [0 * DAY]),
}
ROWS: Mapping[str, Sequence[Row]] = {
    **{case.scheduler.name: case.repeatable for case in CASES if case.scheduler.name in COLUMNS},
    "webhook-delivery": (
        delivery(status="retrying"),
        delivery(status="retrying", webhook_id=webhook(active=False)),
        delivery(status="failed"),
        delivery(status="retrying", deleted_at=NOW),
    ),
}
SCHEDULERS = {
    scheduler.name: scheduler
    for name in workers.SERVICES
    for scheduler in workers.load(name).schedulers
    if any(condition.time for condition in scheduler.work.due)
}
FROM_NOW = [
    sign * span
    for span in (MICROSECOND, timedelta(seconds=1), MINUTE, HOUR, DAY, 6 * DAY, 8 * DAY)
    for sign in (-1, 1)
]


@dataclass(frozen=True)
class Plan:
    """One row: which of ROWS, when it becomes due or which odd time it has, and how long after it
    became due it may be tried again, if it was set aside."""

    row: int
    place: int
    moment: timedelta | None
    odd: str | None
    retry: timedelta | None


PLANS = st.lists(
    st.builds(
        Plan,
        st.integers(0, 1000),
        st.integers(0, 1),
        st.sampled_from((None, *FROM_NOW, 0 * DAY)),
        st.sampled_from(TIMES),
        st.sampled_from((None, None, *FROM_NOW)),
    ),
    min_size=1,
    max_size=8,
)


def test_every_scheduler_whose_rows_have_a_time_is_tried_here() -> None:
    assert set(SCHEDULERS) == set(COLUMNS)


@pytest.mark.parametrize("name", COLUMNS)
@hypothesis.settings(
    max_examples=10, phases=[Phase.generate], suppress_health_check=list(HealthCheck)
)
@given(plans=PLANS, ahead=st.sampled_from((timedelta(seconds=1), 2 * HOUR, 30 * HOUR, 9 * DAY)))
def test_no_row_becomes_due_before_the_moment_and_one_is_due_then(
    name: str, plans: list[Plan], ahead: timedelta, module_database: TestDatabase
) -> None:
    module_database.query("TRUNCATE toast_failed_rows, toast_alerts")
    module_database.query(f"TRUNCATE {ROWS[name][0].table} CASCADE")
    scheduler = SCHEDULERS[name]
    ask = scheduler.work.next_due
    assert ask is not None
    with (
        # Long enough that no alert is raised for the second time.
        open_pass(module_database, scheduler, ITEM_EXPIRATION_INTERVAL="2000h") as current,
        pytest.MonkeyPatch.context() as patch,
    ):
        patch.setattr(due_rows, "PREVIEW_ROWS", 1_000_000)

        def due(now: datetime) -> set[UUID]:
            """What a pass at that time would find."""
            return {row["id"] for row in scheduler.work.preview(replace(current, now=now)).rows}

        for plan in plans:
            insert(module_database, scheduler, plan)
        set_aside(module_database, scheduler, dict(zip(sorted(due(NOW)), plans, strict=False)))
        if name != "webhook-delivery":  # its pass would call the receivers
            scheduler.work.run(current)
        before, found = due(NOW), ask(current, ahead)

        assert found.is_known
        assert found.is_left == bool(before)
        if found.at is None:
            assert due(NOW + ahead) <= before
        else:
            assert NOW < found.at <= NOW + ahead
            assert due(found.at - MICROSECOND) <= before
            assert not due(found.at) <= before


def insert(database: TestDatabase, scheduler: Scheduler, plan: Plan) -> None:
    column, places = COLUMNS[scheduler.name]
    row = ROWS[scheduler.name][plan.row % len(ROWS[scheduler.name])]
    time = NOW + (plan.moment or 0 * DAY) - places[plan.place % len(places)]
    inserted = Row(row.table, {**row.columns, column: time}, row.children).insert(database)["id"]
    if plan.moment is None:
        make_odd(database, row.table, column, inserted, plan.odd)


def set_aside(database: TestDatabase, scheduler: Scheduler, due: Mapping[UUID, Plan]) -> None:
    """Set some rows aside that are due, as an earlier pass would have done."""
    for row, plan in due.items():
        if plan.retry:
            failure = {"scheduler": scheduler.name, "row_id": row}
            database.insert("toast_failed_rows", **failure, retry_at=NOW + plan.retry)
