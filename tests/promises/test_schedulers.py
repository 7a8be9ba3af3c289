"""What all schedulers with a case promise; what is one's own is in its own file."""

import threading
import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from uuid import UUID

import pytest

from common.scheduling.preview import PREVIEW_ROWS, Ages, Preview
from common.scheduling.scheduler import NOTHING, Pass, PassResult, Scheduler
from common.scheduling.work import batched_pass
from testing.database import TestDatabase
from testing.passes import open_pass, outbox, preview, run_pass, why
from testing.scheduler_cases import CASES
from testing.scheduler_rows import Case, live_rows

# What a pass may hold in Python however much is due; 25,000 ids alone would be twice as much.
MOST_BYTES = 500_000

ROWS_OF_SOME_PAGES = 500

EVENTS = "SELECT count(*) AS events, count(DISTINCT key) AS rows FROM toast_outbox"

every_scheduler = pytest.mark.parametrize("case", CASES, ids=lambda case: case.scheduler.name)


@every_scheduler
def test_what_a_dry_run_shows_is_done_once_and_nothing_else(
    case: Case, database: TestDatabase
) -> None:
    reasons = case.insert(database)
    due = {row for row, reason in reasons.items() if reason in case.due}
    expected = case.after(database, due)

    shown = preview(database, case.scheduler)
    found = {row: why(database, case.scheduler, row) for row in reasons}
    result = run_pass(database, case.scheduler)
    events = outbox(database)

    assert sorted(reasons[row["id"]] for row in shown.rows) == sorted(case.due)
    assert {row for row, each in found.items() if each.is_due} == due
    announced = sorted(reasons[UUID(event["key"])] for event in events)
    assert announced == (sorted(case.due) if case.announces else [])
    assert live_rows(database) == expected
    assert shown.count == result.processed == len(due)
    assert (result.events, result.failed, result.note) == (len(events), 0, "")
    assert result.complete

    again = run_pass(database, case.scheduler)

    assert (again.processed, again.events) == (0, 0)
    assert (live_rows(database), outbox(database)) == (expected, events)


def test_over_empty_tables_a_pass_does_nothing(database: TestDatabase) -> None:
    for case in CASES:
        result = run_pass(database, case.scheduler)
        assert (set(result.counts.values()), result.complete) == ({0}, True)
        assert preview(database, case.scheduler) == Preview(0, [], Ages())


@every_scheduler
def test_25000_rows_are_done_in_batches_at_flat_memory(
    case: Case, database: TestDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    stays = case.insert_many(database, 25_000)
    bystanders = rows_of(database, case, stays)
    batches: list[PassResult] = []

    shown = preview(database, case.scheduler)
    tracemalloc.start()
    try:
        result = run_pass(database, case.scheduler, report_progress=batches.append)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()

    assert (shown.count, len(shown.rows)) == (25_000, PREVIEW_ROWS)
    assert result.processed == 25_000
    assert case.not_done(database, stays) == 0
    assert rows_of(database, case, stays) == bystanders
    assert each_announced_once(database) == (25_000 if case.announces else 0)
    assert len([done for done in batches if done.processed]) >= 3
    committed = sum(batches, NOTHING).counts
    assert {**result.counts, **committed} == result.counts
    assert peak < MOST_BYTES


@every_scheduler
def test_two_machines_at_once_do_every_row_once(case: Case, database: TestDatabase) -> None:
    stays = case.insert_many(database, 6_000)
    bystanders = rows_of(database, case, stays)

    one, other = run_at_once(database, case.scheduler)

    assert one.processed + other.processed == 6_000
    assert case.not_done(database, stays) == 0
    assert rows_of(database, case, stays) == bystanders
    assert each_announced_once(database) == (6_000 if case.announces else 0)


@every_scheduler
def test_a_stop_ends_the_pass_after_the_batch_in_hand_and_the_next_pass_does_the_rest(
    case: Case, database: TestDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batched_pass, "BATCH_ROWS", 2)
    monkeypatch.setattr(batched_pass, "SLICE_PAGES", 1)
    monkeypatch.setattr(batched_pass, "SHORT_SLICE_PAGES", 1)
    stays = case.insert_many(database, ROWS_OF_SOME_PAGES)
    before = live_rows(database)
    due = set(before[case.table]) - set(stays)
    expected = case.after(database, due)
    batches: list[PassResult] = []

    stopped = run_pass(
        database,
        case.scheduler,
        report_progress=batches.append,
        stopping=lambda: any(done.processed for done in batches),
    )

    assert (0 < stopped.processed < len(due), stopped.complete) == (True, False)
    assert each_announced_once(database) == (stopped.processed if case.announces else 0)
    after = live_rows(database)
    done = {row for row in due if after[case.table].get(row) != before[case.table][row]}
    assert len(done) == (0 if case.changes == {} else stopped.processed)

    finished = run_pass(database, case.scheduler)

    assert (finished.processed, finished.complete) == (len(due) - stopped.processed, True)
    assert each_announced_once(database) == (len(due) if case.announces else 0)
    assert live_rows(database) == expected


def run_at_once(database: TestDatabase, scheduler: Scheduler) -> list[PassResult]:
    """Run one pass from each of two machines, both beginning at the same moment."""
    ready = threading.Barrier(2, timeout=30)

    def run(current: Pass) -> PassResult:
        ready.wait()
        return scheduler.work.run(current)

    with (
        open_pass(database, scheduler) as one,
        open_pass(database, scheduler) as other,
        ThreadPoolExecutor(2) as machines,
    ):
        return list(machines.map(run, (one, other)))


def rows_of(database: TestDatabase, case: Case, ids: list[UUID]) -> list[object]:
    return list(database.query(f"SELECT * FROM {case.table} WHERE id = ANY (%s) ORDER BY id", ids))


def each_announced_once(database: TestDatabase) -> int:
    """How many rows were announced; none may have been twice."""
    counted = database.one(EVENTS)
    assert counted["events"] == counted["rows"]
    return int(counted["rows"])
