"""The first pass over a million old links by `toast takeover`, beside the ordinary pass."""

from __future__ import annotations

from functools import partial

from benchmarks.benchmark import Benchmark, Figures, Goal, in_turns
from benchmarks.throughput import by_worker, topics_of
from benchmarks.work import OLD_LINK_EXPIRATION, Work
from benchmarks.worker_pass import RECENT, Measured, take_over
from testing.arena import Arena

GROUP = "takeover"
DUE = 1_000_000


def play(arena: Arena, due: int) -> Figures:
    """Do the same work by `toast takeover`, with few events, and by the worker."""
    ordinary, quiet = in_turns(by_worker, _taken_over, arena, OLD_LINK_EXPIRATION, due)
    return {
        "times the ordinary pass": quiet.seconds / ordinary.seconds,
        "seconds": quiet.seconds,
        "from the start of the process": quiet.from_start,
        "ordinary pass": ordinary.seconds,
    }


def _taken_over(arena: Arena, work: Work, due: int) -> Measured:
    topics = topics_of(arena, work)
    with work.rows(due).database(arena) as database:
        measured = take_over(database, work.scheduler, due, arena.kafka.address)
        assert database.count("link_links WHERE is_active AND expires_at <= now()") == 0
    assert 0 < topics[0].count() <= RECENT
    return measured


BENCHMARKS = (
    Benchmark(
        group=GROUP,
        title=f"link-expiration, {DUE:,} old rows due, by `toast takeover --announce since:7d`",
        play=partial(play, due=DUE),
        goals=(
            Goal("times the ordinary pass", 1.1),
            Goal("seconds", unit=" s"),
            Goal("from the start of the process", unit=" s"),
            Goal("ordinary pass", unit=" s"),
        ),
        runs=3,
    ),
)
