"""Breaks of a clean-up: it uses TOAST_RETENTION_SHARE of the time; in a break it holds nothing."""

import threading
import time
from collections.abc import Callable

import pytest

from common.database.connection import Database
from common.database.run_history import Run
from common.scheduling.observer import Observer
from common.scheduling.pass_runner import PassRunner
from common.scheduling.scheduler import NOTHING, PassResult
from common.scheduling.under_way import breaks
from common.scheduling.work import batched_pass
from devservers.child_processes import PATIENCE, poll_until
from testing.database import TestDatabase
from testing.passes import load_settings, run_pass
from testing.processes import STOP_SECONDS, Process, environment, toast
from testing.scheduler_cases.link import LINK_EXPIRATION
from testing.scheduler_cases.notification import NOTIFICATION_CLEANUP as CLEANUP
from testing.scheduler_rows import Case
from testing.workload import only

# Two slices, or some of few pages.
ROWS = 12_000
FEW_PAGES = 32
# A break lasts many minutes.
LONG = {"TOAST_RETENTION_SHARE": "0.00001"}
PAUSE = ("pause", "notification", "--for", "1h", "--reason", "test")

HELD = """
SELECT FROM pg_stat_activity
WHERE application_name = 'toast-test' AND (state <> 'idle' OR pid IN (SELECT pid FROM pg_locks))"""


class Breaks:
    """Records the breaks of a pass, how long it worked before each, and what it held in them."""

    def __init__(
        self, database: TestDatabase, rest: Callable[[float], object] = lambda seconds: None
    ) -> None:
        self.seconds: list[float] = []
        self.worked: list[float] = []
        self.held = 0
        self._database = database
        self._rest = rest
        self._resumed_at = time.monotonic()

    def take(self, seconds: float) -> bool:
        """Rest; returns False, for the pass is not to end."""
        self.worked.append(time.monotonic() - self._resumed_at)
        self.seconds.append(seconds)
        self.held += len(self._database.query(HELD))
        self._rest(seconds)
        self._resumed_at = time.monotonic()
        return False


class SignsOfLife(Observer):
    """Counts the reports of a pass that has done nothing since the one before."""

    def __init__(self) -> None:
        self.number = 0

    def progressed(self, run: Run, done: PassResult, share: float | None) -> None:
        self.number += done == NOTHING


@pytest.fixture
def small_slices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batched_pass, "SHORT_SLICE_PAGES", FEW_PAGES)


def left(database: TestDatabase) -> int:
    return database.count("notification_notifications")


@pytest.mark.usefixtures("small_slices")
def test_a_pass_rests_in_proportion_to_its_slices_and_holds_nothing(database: TestDatabase) -> None:
    CLEANUP.insert_many(database, ROWS)
    rests = Breaks(database)

    result = run_pass(database, CLEANUP.scheduler, wait=rests.take, TOAST_RETENTION_SHARE="0.2")

    assert (result.processed, rests.held) == (ROWS, 0)
    assert len(rests.seconds) > 2
    assert all(
        rested <= 4 * worked for rested, worked in zip(rests.seconds, rests.worked, strict=True)
    )
    assert sum(rests.seconds[1:]) > 2 * sum(rests.worked[1:])


@pytest.mark.parametrize(
    ("case", "share"), [(CLEANUP, "1"), (LINK_EXPIRATION, "0.01")], ids=["full speed", "urgent"]
)
def test_full_speed_and_urgent_changes_take_no_break(
    case: Case, share: str, database: TestDatabase
) -> None:
    case.insert_many(database, ROWS)
    rests = Breaks(database)

    result = run_pass(database, case.scheduler, wait=rests.take, TOAST_RETENTION_SHARE=share)

    assert (result.processed, rests.seconds) == (ROWS, [])


@pytest.mark.usefixtures("small_slices")
def test_a_pass_rests_less_to_end_within_a_tenth_of_its_interval(database: TestDatabase) -> None:
    CLEANUP.insert_many(database, ROWS)
    rests = Breaks(database, rest=time.sleep)
    settings = {**LONG, "NOTIFICATION_CLEANUP_INTERVAL": "20s"}

    began = time.monotonic()
    run_pass(database, CLEANUP.scheduler, wait=rests.take, **settings)

    assert time.monotonic() - began > 1
    assert sum(rests.seconds) < 2


def test_a_break_shows_that_the_pass_is_alive_and_ends_with_a_stop(
    database: TestDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    CLEANUP.insert_many(database, ROWS)
    monkeypatch.setattr(breaks, "_SIGN_OF_LIFE_SECONDS", 0.01)
    loaded = load_settings("test", CLEANUP.scheduler.variables, {**database.environment, **LONG})
    stop, alive, runs = threading.Event(), SignsOfLife(), []
    runner = PassRunner(CLEANUP.scheduler, loaded, Database(loaded), stop=stop, observers=[alive])
    thread = threading.Thread(target=lambda: runs.append(runner.run()))

    thread.start()
    assert poll_until(lambda: alive.number > 10, PATIENCE)
    stop.set()
    thread.join(STOP_SECONDS)

    assert [run.result for run in runs] == ["stopped"]
    assert 0 < left(database) < ROWS


def test_a_pause_ends_a_break_of_a_worker(database: TestDatabase) -> None:
    CLEANUP.insert_many(database, ROWS)
    env = environment(database, **only(CLEANUP.scheduler, "24h"), **LONG)
    with Process("workers.notification", env=env) as worker:
        assert poll_until(lambda: left(database) < ROWS, PATIENCE)
        assert toast(*PAUSE, env=env).code == 0
        assert worker.wait_for("pass_finished")["result"] == "stopped"
        assert 0 < left(database) < ROWS
