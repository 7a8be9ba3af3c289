"""How long each page takes, and what it reads of the outbox."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from functools import partial
from typing import NamedTuple

from benchmarks.benchmark import Benchmark, Figures, Goal
from benchmarks.rows import FilledDatabase
from benchmarks.web.filling import EVENT, busy
from benchmarks.web.site import Site, serving
from devservers.child_processes import PATIENCE, poll_until
from testing.arena import Arena
from testing.web.places import places

GROUP = "web"
REQUESTS = 60
# A search for what is nowhere searches longest.
PAGES = places(EVENT, "00000000-0000-4000-8000-000000000000")
RATIO = "times the pages of an empty database"
FULL_SCANS, MOST_ROWS = "full scans of the outbox", "most rows that a page reads of it"

# A session reports what it has read at its end.
_SESSIONS = """
SELECT FROM pg_stat_activity
WHERE datname = current_database() AND application_name = 'toast web'"""
_OF_OUTBOX = "relname LIKE 'toast_outbox%' AND relname <> 'toast_outbox_set_aside'"
_READ = f"""
SELECT coalesce(sum(seq_scan), 0)::int AS full_scans,
       coalesce(sum(seq_tup_read), 0)::int + (
           SELECT coalesce(sum(idx_tup_read), 0) FROM pg_stat_user_indexes
           WHERE {_OF_OUTBOX})::int AS rows
FROM pg_stat_user_tables WHERE {_OF_OUTBOX}"""


class Read(NamedTuple):
    """How often a page read the whole outbox, and how many of its rows."""

    full_scans: int
    rows: int


def play(arena: Arena, filled: FilledDatabase, requests: int = REQUESTS) -> Figures:
    """Ask for all pages in turn, many times; the first round is not counted."""
    with serving(filled.original(arena)) as site:
        first = {name: site.get(page) for name, page in PAGES.items()}
        times = _times(site, requests)
        read = [read_of_the_outbox(site, page) for page in PAGES.values()]
    return {
        **{name: _p95(times[name]) for name in PAGES},
        "slowest first request": max(first.values()),
        FULL_SCANS: sum(each.full_scans for each in read),
        MOST_ROWS: max(each.rows for each in read),
    }


def play_beside_empty(arena: Arena, filled: FilledDatabase, requests: int) -> Figures:
    """The same pages, of this database and of an empty one."""
    with (
        arena.database() as nothing,
        serving(nothing) as empty,
        serving(filled.original(arena)) as full,
    ):
        # Both in each turn: a machine that is busy for a moment is slow for both.
        turns = [
            [(empty.get(page), full.get(page)) for page in PAGES.values()]
            for _ in range(requests + 1)
        ]
    of_pages = zip(*turns[1:], strict=True)
    medians = [map(statistics.median, zip(*page, strict=True)) for page in of_pages]
    least, ours = map(sum, zip(*medians, strict=True))
    return {RATIO: ours / least, "all pages": ours}


def read_of_the_outbox(site: Site, page: str) -> Read:
    """Ask for a page; returns what that reads of the outbox."""
    before = _read(site)
    site.get(page)
    after = _read(site)
    return Read(after.full_scans - before.full_scans, after.rows - before.rows)


def _read(site: Site) -> Read:
    assert poll_until(lambda: not site.database.query(_SESSIONS), PATIENCE)
    return Read(**site.database.one(_READ))


def _times(site: Site, requests: int) -> dict[str, list[float]]:
    """The milliseconds of the requests of each page."""
    rounds = [{name: site.get(page) for name, page in PAGES.items()} for _ in range(requests)]
    return {name: [each[name] for each in rounds] for name in PAGES}


def _p95(times: Sequence[float]) -> float:
    return statistics.quantiles(times, n=20, method="inclusive")[-1]


BENCHMARKS = (
    Benchmark(
        group=GROUP,
        title="the page, p95 of each: 14 schedulers with a run a minute for 30 days,"
        " 1,000,000 waiting events, 1,000 rows and events set aside",
        play=partial(play, filled=busy(30, 1_000_000, 1_000)),
        goals=(
            *(Goal(name, 100, " ms") for name in PAGES),
            Goal("slowest first request", unit=" ms"),
            Goal(FULL_SCANS, 0),
            Goal(MOST_ROWS, 50_000),
        ),
        runs=3,
    ),
    Benchmark(
        group=GROUP,
        title="the page: 14 schedulers with a run a minute for a day, 30,000 waiting events",
        play=partial(play_beside_empty, filled=busy(1, 30_000, 100), requests=10),
        goals=(Goal(RATIO), Goal("all pages", unit=" ms")),
        watched=RATIO,
    ),
)
