"""The loop of a scheduler: when passes run, and when they end."""

import math
import statistics
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from common import backoff
from common.backoff import retry_delay
from common.database.connection import Database
from common.errors import PassError
from common.scheduling.cadence import next_tick
from common.scheduling.loop import Loop
from common.scheduling.pass_runner import PassRunner
from common.scheduling.scheduler import Pass, PassResult
from devservers.child_processes import poll_until
from testing.database import TestDatabase
from tests.support.probes import probe, settings, steadiness

HOUR = 3600.0
PATIENCE = 30.0

Work = Callable[[Pass], PassResult]


def nothing(current: Pass) -> PassResult:
    return PassResult()


class Looping:
    """A loop over a probe that notes when each of its passes began and ended."""

    def __init__(self, database: Database, loaded: Any) -> None:
        self._database = database
        self._settings = loaded
        self.stopping = threading.Event()
        self.began: list[float] = []
        self.ended: list[float] = []
        self._loop: Loop | None = None

    def start(self, work: Work = nothing, interval: float = HOUR) -> Loop:
        def timed(current: Pass) -> PassResult:
            self.began.append(time.monotonic())
            try:
                return work(current)
            finally:
                self.ended.append(time.monotonic())

        runner = PassRunner(probe(timed), self._settings, self._database, stop=self.stopping)
        self._loop = Loop(runner, interval, self.stopping)
        self._loop.start()
        return self._loop

    def wait_for(self, passes: int) -> None:
        """Wait until so many passes have ended."""
        assert poll_until(lambda: len(self.ended) >= passes, PATIENCE, 0.01), (
            f"only {len(self.ended)} of {passes} passes"
        )

    def stop(self) -> None:
        """Stop it, as a worker does."""
        if self._loop is not None:
            self.stopping.set()
            self._loop.wake()
            self._loop.thread.join(PATIENCE)
            assert not self._loop.thread.is_alive()


@pytest.fixture
def database(module_database: TestDatabase) -> TestDatabase:
    """One database for all tests here, emptied before each: a new one takes much longer."""
    module_database.query("DELETE FROM toast_runs")
    return module_database


@pytest.fixture
def looping(database: TestDatabase, monkeypatch: pytest.MonkeyPatch) -> Iterator[Looping]:
    loaded = settings(database, monkeypatch)
    looping = Looping(Database(loaded), loaded)
    yield looping
    looping.stop()


# --- when the next pass is due ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("previous", "now", "expected"),
    [
        (100.0, 100.0, 110.0),
        (100.0, 100.1, 110.0),
        (100.0, 109.9, 110.0),
        (100.0, 110.0, 120.0),  # the tick itself has begun
        (100.0, 110.1, 120.0),
        (100.0, 147.3, 150.0),  # four ticks dropped
        (110.0, 103.0, 110.0),  # woken before its time: the tick stays
    ],
)
def test_the_next_tick_is_the_first_multiple_after_now(
    previous: float, now: float, expected: float
) -> None:
    assert next_tick(previous, 10.0, now) == expected


seconds = st.floats(min_value=0, max_value=1e6)


@given(previous=seconds, interval=st.floats(min_value=0.1, max_value=1e5), later=seconds)
def test_the_next_tick_is_never_more_than_an_interval_away(
    previous: float, interval: float, later: float
) -> None:
    now = previous + later
    tick = next_tick(previous, interval, now)
    assert 0 <= tick - now <= interval * 1.000001 + 1e-6
    ticks = (tick - previous) / interval
    assert math.isclose(ticks, round(ticks), rel_tol=1e-6)


@given(failures=st.integers(1, 10**6), limit=st.floats(min_value=0.1, max_value=1e6))
def test_a_retry_comes_soon_and_never_past_the_limit(failures: int, limit: float) -> None:
    delay = retry_delay(failures, limit)
    assert 0.1 <= delay <= max(0.1, min(limit, 2.0 ** min(failures, 64)))


def test_retries_are_spread_over_their_whole_range() -> None:
    delays = [retry_delay(5, HOUR) for _ in range(2000)]
    assert min(delays) < 4 < 12 < statistics.median(delays) < 20 < 28 < max(delays) <= 32


# --- passes -----------------------------------------------------------------------------------


def test_the_first_pass_runs_at_once_and_the_next_one_does_not(looping: Looping) -> None:
    looping.start(interval=HOUR)
    looping.wait_for(1)
    time.sleep(0.3)
    assert len(looping.began) == 1


def test_a_loop_that_is_woken_runs_now_and_keeps_its_cadence(looping: Looping) -> None:
    running = looping.start(interval=0.5)
    looping.wait_for(1)
    time.sleep(0.25)
    running.wake()  # between two ticks
    looping.wait_for(5)
    first, _, *ticks = looping.began
    assert steadiness([first, *ticks], 0.5) > 0.7  # counted from there, it would be 0.5


def test_a_loop_that_is_woken_does_not_wait_for_its_interval(looping: Looping) -> None:
    running = looping.start(interval=HOUR)
    for passes in range(1, 4):
        looping.wait_for(passes)
        running.wake()
    looping.wait_for(4)


def test_a_loop_that_is_woken_in_a_pass_runs_another_after_it(looping: Looping) -> None:
    go_on = threading.Event()

    def held(current: Pass) -> PassResult:
        go_on.wait(PATIENCE)
        return PassResult()

    running = looping.start(held, interval=HOUR)
    assert poll_until(lambda: bool(looping.began), PATIENCE)
    running.wake()
    running.wake()
    go_on.set()
    looping.wait_for(2)
    time.sleep(0.3)
    assert len(looping.began) == 2


# --- failures ---------------------------------------------------------------------------------


def test_a_failed_pass_is_tried_again_long_before_the_interval(looping: Looping) -> None:
    def fail_once(current: Pass) -> PassResult:
        if len(looping.began) == 1:
            raise PassError("not yet")
        return PassResult()

    looping.start(fail_once, interval=HOUR)
    looping.wait_for(2)
    time.sleep(0.3)
    assert len(looping.began) == 2  # all is well again: the next one is in an hour


def test_a_failing_pass_is_never_tried_later_than_its_interval(looping: Looping) -> None:
    def fail(current: Pass) -> PassResult:
        raise PassError("never")

    looping.start(fail, interval=0.2)
    looping.wait_for(12)  # undisturbed by the interval, the last ones would be minutes apart


def test_a_lost_database_is_tried_often_even_if_the_interval_is_long(
    looping: Looping, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backoff, "RECONNECT_SECONDS", 0.2)

    def lose(current: Pass) -> PassResult:
        raise psycopg.OperationalError("server closed the connection unexpectedly")

    looping.start(lose, interval=HOUR)
    looping.wait_for(12)


def test_a_lost_database_is_tried_at_least_every_four_seconds() -> None:
    assert backoff.RECONNECT_SECONDS == 4


def test_a_failing_scheduler_does_not_delay_its_sibling(
    database: TestDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded = settings(database, monkeypatch)
    failing = Looping(Database(loaded), loaded)
    blocked = Looping(Database(loaded), loaded)
    sibling = Looping(Database(loaded), loaded)

    def fail(current: Pass) -> PassResult:
        raise ValueError("a bug")

    def block(current: Pass) -> PassResult:
        blocked.stopping.wait(PATIENCE)
        return PassResult()

    try:
        failing.start(fail, interval=0.1)
        blocked.start(block, interval=0.1)
        sibling.start(interval=0.1)
        sibling.wait_for(5)
        assert len(blocked.ended) == 0
        failing.wait_for(2)
    finally:
        for each in (failing, blocked, sibling):
            each.stop()


# --- the stop ---------------------------------------------------------------------------------


def test_the_stop_ends_a_wait_at_once(looping: Looping) -> None:
    looping.start(interval=HOUR)
    looping.wait_for(1)
    looping.stop()
    assert len(looping.began) == 1


def test_the_stop_lets_a_pass_finish_what_it_has_in_hand(looping: Looping) -> None:
    batches: list[int] = []

    def work(current: Pass) -> PassResult:
        while not current.stopping():
            batches.append(1)
            current.wait(0.05)
        batches.append(2)
        return PassResult(complete=False)

    looping.start(work, interval=0.1)
    assert poll_until(lambda: len(batches) > 2, PATIENCE)
    looping.stop()
    assert batches[-1] == 2
    assert len(looping.began) == 1


# --- signs of life ----------------------------------------------------------------------------


def test_a_loop_that_waits_is_not_stalled_until_its_next_pass_is_overdue(
    looping: Looping, monkeypatch: pytest.MonkeyPatch
) -> None:
    started = looping.start(interval=HOUR)
    looping.wait_for(1)
    assert poll_until(lambda: not started.runner.heartbeat.is_running, PATIENCE)

    def later(seconds: float) -> bool:
        now = time.monotonic() + seconds
        with monkeypatch.context() as patch:
            patch.setattr(time, "monotonic", lambda: now)
            return started.stalled()

    # The time of the next pass is set a moment after the end of this one.
    assert poll_until(lambda: later(HOUR + 70), PATIENCE)
    assert not later(0)
    assert not later(HOUR + 50)
