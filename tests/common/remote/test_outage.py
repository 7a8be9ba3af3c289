"""Whose fault failures are: the answers and failures of a pass in order, and what is recorded."""

import pytest

from common.remote.outage import FEW, OutageWatch


def play(watch: OutageWatch[str], order: str) -> str:
    """Lower case letters fail, capitals answer; returns the failures that were recorded."""
    recorded = []
    for name in order:
        failed = watch.failed(name, name) if name.islower() else watch.answered(name.lower())
        recorded += failed
    return "".join(recorded + watch.ended())


@pytest.mark.parametrize(
    ("one_server", "reached", "order", "recorded"),
    [
        # One server with many destinations: any failure is its own, until one answers.
        (True, 0, "a", None),
        (True, 0, "aab", None),
        (True, 0, "aB", "a"),
        (True, 0, "Ab", "b"),
        (True, 0, "Abbbbb", "bbbbb"),
        (True, 0, "ABbca", None),
        (True, 1, "aaa", "aaa"),
        (True, 1, "abcdefghi", "abcdefghi"),
        (True, 1, "abcdefghij", None),
        # Many servers: fewer than three that fail are dead, and nearly all that are asked.
        (False, 0, "aabb", "aabb"),
        (False, 0, "abc", None),
        (False, 0, "aAbc", "abc"),
        (False, 0, "Zabcdefghi", "abcdefghi"),
        (False, 0, "Zabcdefghij", None),
        (False, 1, "abc", "abc"),
        (False, 0, "aaaaaaaaaaa", "aaaaaaaaaaa"),
    ],
)
def test_failures_are_recorded_unless_they_are_an_outage(
    one_server: bool, reached: int, order: str, recorded: str | None
) -> None:
    watch = OutageWatch[str](one_server=one_server, reached=lambda: reached)
    assert play(watch, order) == (recorded or "")
    assert watch.found is (recorded is None)
    assert bool(watch.held) is watch.found


def test_only_a_few_are_asked_until_one_answers() -> None:
    watch = OutageWatch[str](one_server=False, reached=lambda: 0)
    allowed = [watch.may_ask(in_flight) for in_flight in range(FEW + 1)]
    assert allowed == [True, True, True, False]
    watch.failed("a", "a")
    watch.failed("b", "b")
    assert [watch.may_ask(0), watch.may_ask(1)] == [True, False]
    watch.answered("c")
    assert watch.may_ask(99)
    for name in "defghijklm":
        watch.failed(name, name)
    assert watch.found
    assert not watch.may_ask(0)
