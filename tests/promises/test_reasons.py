"""`toast why` and a pass agree on every row: all conditions are met if the pass would find it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid4

import hypothesis
import pytest
from hypothesis import HealthCheck, Phase, given
from hypothesis import strategies as st

import workers
from common.scheduling.preview import Reasons
from common.scheduling.scheduler import Pass
from common.scheduling.work import due_rows
from testing.database import TestDatabase
from testing.passes import DAY, GO_ZERO_TIME, HOUR, MICROSECOND, NOW, open_pass
from testing.scheduler_cases import CASES
from testing.scheduler_cases.webhook import delivery, webhook
from testing.scheduler_rows import Row
from tests.support.odd_values import NUMBERS, TIMES
from workers.notification.due_notifications import CHANNEL_ROW

# At, before and after every limit of a setting's default, and of 90 % of an interval.
_LIMITS = (0 * DAY, 7 * DAY, -HOUR, -5.4 * HOUR, -24 * HOUR, -30 * DAY, -31 * DAY, -90 * DAY)
MOMENTS = [NOW + limit + near for limit in _LIMITS for near in (-MICROSECOND, 0 * DAY, MICROSECOND)]
STATUSES = ("draft", "published", "pending", "retrying", "failed", "success", "")

ODD: Mapping[str, Sequence[object]] = {
    "timestamp with time zone": (*TIMES, GO_ZERO_TIME, *MOMENTS),
    "bigint": (*NUMBERS, *range(-1, 5)),
    "boolean": (None, True, False),
    "character varying": (None, *STATUSES),
}

COLUMNS = """
SELECT attname::text AS name, format_type(atttypid, NULL) AS kind, attnotnull AS is_needed
FROM pg_attribute WHERE attrelid = %s::regclass AND attnum > 0 AND attname = ANY (%s)
ORDER BY attnum"""

GIVE_UP = f"""
INSERT INTO toast_discord_channels (channel_id, gone_row, gone_reason)
SELECT channel.id, {CHANNEL_ROW}, 'unknown webhook' FROM notification_channels AS channel
WHERE channel.name = 'gone' ON CONFLICT DO NOTHING"""


def notification(**channel: object) -> Row:
    values = {"channel_id": Row("notification_channels", {"active": True, **channel})}
    return Row("notification_notifications", {"status": "failed", "attempt_count": 1, **values})


def subject(table: str, *last_synced: object) -> Row:
    named = {"realm": "silvermoon", "region": "eu"}
    details = [Row("character_details", {"last_synced_at": each}) for each in last_synced]
    return Row(table, named, {"character_id": details} if details else {})


# Rows of the schedulers without a case, by scheduler: due ones, and such as stay for the sake of
# another table.
MORE_ROWS: Mapping[str, Sequence[Row]] = {
    "notification-retry": (
        notification(),
        notification(active=False),
        notification(active=None),
        notification(deleted_at=NOW),
        notification(name="gone"),
    ),
    "webhook-delivery": (
        delivery(status="retrying", next_retry_at=NOW),
        delivery(status="retrying", webhook_id=webhook(active=False)),
    ),
    "character-sync": (
        subject("characters"),
        *(subject("characters", moment) for moment in (None, GO_ZERO_TIME, *MOMENTS)),
    ),
    "guild-sync": (subject("guilds"),),
}
ROWS: Mapping[str, Sequence[Row]] = {
    **{case.scheduler.name: case.repeatable for case in CASES},
    **MORE_ROWS,
}
SCHEDULERS = {
    scheduler.name: scheduler
    for name in workers.SERVICES
    for scheduler in workers.load(name).schedulers
    if scheduler.work.due
}


@dataclass(frozen=True)
class Plan:
    """One row: which of ROWS, which odd values in which columns, when it may be retried if it was
    set aside, and when an alert of it was raised, with the same facts or others."""

    row: int
    odd: Mapping[int, int]
    retry_at: object
    raised_at: object
    same_facts: bool


_NUMBER = st.integers(0, 1000)
_RETRY = st.sampled_from((None, None, NOW - MICROSECOND, NOW, NOW + MICROSECOND))
_RAISED = st.sampled_from((None, *MOMENTS))
PLANS = st.lists(
    st.builds(
        Plan,
        _NUMBER,
        st.dictionaries(_NUMBER, _NUMBER, max_size=2),
        _RETRY,
        _RAISED,
        st.booleans(),
    ),
    min_size=20,
    max_size=30,
)


@pytest.mark.parametrize("name", SCHEDULERS)
# To find the smallest rows that show a fault would take far longer than to find the fault.
@hypothesis.settings(
    max_examples=4, phases=[Phase.generate], suppress_health_check=list(HealthCheck)
)
@given(plans=PLANS)
def test_all_conditions_are_met_if_and_only_if_the_pass_finds_the_row(
    name: str, plans: list[Plan], module_database: TestDatabase
) -> None:
    scheduler = SCHEDULERS[name]
    with open_pass(module_database, scheduler) as current, pytest.MonkeyPatch.context() as patch:
        patch.setattr(due_rows, "PREVIEW_ROWS", 1_000_000)
        rows = [_insert(current, module_database, plan) for plan in plans]
        module_database.query(GIVE_UP)
        due = {row["id"] for row in scheduler.work.preview(current).rows}
        reasons = {row: scheduler.work.why(current, str(row)) for row in rows}

    for row, found in reasons.items():
        assert found.is_due == (row in due), found
        assert [each.name for each in found.conditions[: len(scheduler.work.due)]] == [
            condition.name for condition in scheduler.work.due
        ]
        assert all(not each.is_met for each in found.conditions if each.not_before)


def _insert(current: Pass, database: TestDatabase, plan: Plan) -> UUID:
    known = ROWS[current.scheduler]
    row = known[plan.row % len(known)]
    named = {"name": str(uuid4())} if "realm" in row.columns else {}
    inserted: UUID = Row(row.table, {**row.columns, **named}, row.children).insert(database)["id"]
    found = _why(current, inserted)
    _make_odd(database, row, inserted, found, plan.odd)
    if plan.retry_at:
        failure = {"scheduler": current.scheduler, "row_id": inserted, "retry_at": plan.retry_at}
        database.insert("toast_failed_rows", **failure)
    facts = _facts(_why(current, inserted))
    if plan.raised_at and facts:
        alert = {"scheduler": current.scheduler, "subject_id": inserted}
        stored = facts if plan.same_facts else "others"
        database.insert("toast_alerts", **alert, facts=stored, raised_at=plan.raised_at)
    return inserted


def _make_odd(
    database: TestDatabase, row: Row, inserted: UUID, found: Reasons, odd: Mapping[int, int]
) -> None:
    """Change columns of the row, or of its children, that decide a condition."""
    names = [name for each in found.conditions for name in each.values if not name.endswith("id")]
    children = {child.table: key for key, some in row.children.items() for child in some}
    columns = [
        {**column, "table": table, "key": key}
        for table, key in {row.table: "id", **children}.items()
        for column in database.query(COLUMNS, table, names)
    ]
    for number, place in odd.items():
        column = columns[number % len(columns)]
        values = ODD[column["kind"]]
        value = values[place % len(values)]
        if value is not None or not column["is_needed"]:
            change = "UPDATE {table} SET {name} = %s::{kind} WHERE {key} = %s"
            database.query(change.format(**column), value, inserted)


def _why(current: Pass, row: UUID) -> Reasons:
    return SCHEDULERS[current.scheduler].work.why(current, str(row))


def _facts(found: Reasons) -> Any:
    """The facts of an alert about the row; None if the scheduler raises none."""
    return next((each.values["facts"] for each in found.conditions if "facts" in each.values), None)
