"""The pool: its size, its threads, and that nothing which happens in a call stops the pass."""

import sys
import threading
import time
from contextvars import ContextVar

import pytest

from common.errors import LimitReached, PassError
from common.remote.thread_pool import ThreadPool
from devservers.child_processes import PATIENCE


def test_every_subject_has_its_result_and_no_more_threads_than_needed() -> None:
    pool: ThreadPool[int, int] = ThreadPool(lambda _: threading.get_ident(), 3, "worker")
    with pool:
        one_by_one: dict[int, int | Exception] = {}
        for number in (1, 2):
            pool.submit(number)
            one_by_one |= pool.last(PATIENCE)
        for number in (3, 4, 5, 6, 7):  # more than there may be threads: these wait for one
            pool.submit(number)
        at_once = dict(pool.last(PATIENCE))
    assert (list(one_by_one), sorted(at_once)) == ([1, 2], [3, 4, 5, 6, 7])
    assert len(set(one_by_one.values())) == 1
    assert len(set(at_once.values())) <= 3


def test_a_full_pool_waits_no_longer_than_it_was_told_and_hands_out_what_is_ready() -> None:
    released = threading.Event()
    pool: ThreadPool[str, bool] = ThreadPool(lambda _: released.wait(PATIENCE), 2, "waiter")
    with pool:
        pool.submit("a")
        assert not pool.is_full
        pool.submit("b")
        assert pool.is_full
        assert list(pool.finished(0.01)) == list(pool.last(0.01)) == []
        released.set()
        assert sorted(pool.last(PATIENCE)) == [("a", True), ("b", True)]
        assert pool.in_flight == 0
        started = time.monotonic()
        assert list(pool.finished(PATIENCE)) == []  # nothing is in flight
        assert time.monotonic() - started < PATIENCE


def test_an_error_of_any_kind_is_reported_and_a_result_and_the_others_go_on(
    uncaught: list[threading.ExceptHookArgs],
) -> None:
    def call(given: str) -> float:
        return 1 / int(given) if given else sys.exit()

    with ThreadPool(call, 1, "inverse") as pool:
        for given in ("0", "", "2"):
            pool.submit(given)
        results = dict(pool.last(PATIENCE))
    assert isinstance(results["0"], ZeroDivisionError)
    assert isinstance(results[""], PassError)
    assert results["2"] == 0.5
    assert [caught.exc_type for caught in uncaught] == [ZeroDivisionError, SystemExit]
    assert {caught.thread.name for caught in uncaught if caught.thread} == {"inverse"}
    assert all(caught.exc_traceback for caught in uncaught)


def test_the_end_waits_for_no_call_and_drops_what_has_not_begun() -> None:
    released, called = threading.Event(), []

    def call(subject: str) -> None:
        called.append(subject)
        released.wait(PATIENCE)

    with ThreadPool(call, 1, "lasting-call") as pool:
        pool.submit("a")
        pool.submit("b")
        started = time.monotonic()
    assert time.monotonic() - started < PATIENCE
    released.set()
    for thread in threading.enumerate():
        if thread.name == "lasting-call":
            thread.join(PATIENCE)
            assert not thread.is_alive()
    assert called in ([], ["a"])


def test_a_call_has_the_context_of_the_pass() -> None:
    word = ContextVar("word", default="")  # as the fields of log records are
    token = word.set("guild-sync")
    pool: ThreadPool[str, str] = ThreadPool(lambda _: word.get(), 1, "reader")
    with pool:
        pool.submit("a")
        assert list(pool.last(PATIENCE)) == [("a", "guild-sync")]
    word.reset(token)


def test_after_a_limit_is_reached_the_pool_takes_no_more_and_hands_out_the_rest() -> None:
    released = threading.Event()

    def call(subject: str) -> str:
        if subject == "one too many":
            raise LimitReached("no more files")
        released.wait(PATIENCE)
        return subject

    with ThreadPool(call, 3, "limited") as pool:
        pool.submit("a")
        pool.submit("one too many")
        assert list(pool.finished(PATIENCE)) == []  # nothing to hand out, and a is under way
        assert pool.is_full
        assert pool.in_flight == 1
        released.set()
        rest: list[object] = []
        with pytest.raises(LimitReached, match="no more files"):
            rest.extend(pool.last(PATIENCE))
        assert rest == [("a", "a")]
