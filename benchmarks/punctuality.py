"""How late rows are done that become due between two ticks, with all intervals as by default.

A row is late by the time from its own moment to the pass that did it, both by the database. A pass
begins at most once a second, so where rows become due all the time, one in a hundred waits for 0.99
seconds or longer.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import ExitStack
from functools import partial

from benchmarks.benchmark import Benchmark, Figures, Goal
from devservers.child_processes import poll_until
from testing.arena import Arena
from testing.database import TestDatabase
from testing.processes import Process, environment
from testing.usage import cpu_seconds

ROWS = 1_000
# The rows are there before the first pass, and none is due by then.
FIRST_SECONDS = 20
WITHIN_SECONDS = 120

_MOMENT = f"now() + interval '{FIRST_SECONDS} s' + random() * interval '{WITHIN_SECONDS} s'"

_FILL = (
    f"""
INSERT INTO blog_posts (title, slug, content, excerpt, markdown, html, status, featured, author_id,
    reading_time, view_count, published_at, created_at, updated_at, meta_title, meta_description,
    meta_keywords, og_title, og_description, og_image, canonical_url)
SELECT 'Post ' || number, 'post-' || number, '', '', '', '', 'draft', false, 'ada', 5, 0,
       {_MOMENT}, now(), now(), '', '', '', '', '', '', ''
FROM generate_series(1, {ROWS}) AS number""",
    f"""
INSERT INTO link_links (original_url, short_code, expires_at, click_count, created_at, updated_at)
SELECT 'https://example.com/' || number, 'l' || number, {_MOMENT}, 0, now(), now()
FROM generate_series(1, {ROWS}) AS number""",
    "ANALYZE blog_posts, link_links",
)

_LATE = """
SELECT count(*) AS rows, percentile_cont(0.5) WITHIN GROUP (ORDER BY late) AS median,
       percentile_cont(0.99) WITHIN GROUP (ORDER BY late) AS p99
FROM (
    SELECT date_part('epoch', updated_at - published_at) AS late
    FROM blog_posts WHERE status = 'published'
    UNION ALL
    SELECT date_part('epoch', updated_at - expires_at) FROM link_links WHERE NOT is_active
) AS done"""

_PASSES = """
SELECT count(*) FILTER (WHERE result = 'failed') AS failed, count(*) AS passes,
       sum((counts ->> 'events')::int) AS events FROM toast_runs"""


def play(arena: Arena, machines: int) -> Figures:
    """Start the workers of so many machines, and wait until they have done every row."""
    with ExitStack() as stack:
        database = stack.enter_context(arena.database())
        for statement in _FILL:
            database.query(statement)
        env = environment(database, arena.kafka.address)
        workers = [
            stack.enter_context(Process("workers", "run", service, env=env))
            for service in ("blog", "link")
            for _ in range(machines)
        ]
        for worker in workers:
            worker.wait_for("pass_finished", result="ok", processed=0)
        seconds, cpu = _work(database, workers)
        for worker in workers:
            assert worker.stop() == 0
        [passes], [late] = database.query(_PASSES), database.query(_LATE)
    return {
        "late, p99": late["p99"],
        "late, median": late["median"],
        "not done once": abs(passes["events"] - 2 * ROWS) + 2 * ROWS - late["rows"],
        "failed passes": passes["failed"],
        "passes a second of each worker": passes["passes"] / len(workers) / seconds,
        "CPU": 100 * cpu / seconds,
    }


def _work(database: TestDatabase, workers: Sequence[Process]) -> tuple[float, float]:
    """The seconds until every row is done, and the CPU seconds that the workers used."""
    before, began = sum(cpu_seconds(worker.pid) for worker in workers), time.monotonic()

    def is_done() -> bool:
        return bool(database.query(_LATE)[0]["rows"] == 2 * ROWS)

    assert poll_until(is_done, 2 * WITHIN_SECONDS, 1.0)
    used = sum(cpu_seconds(worker.pid) for worker in workers) - before
    return time.monotonic() - began, used


def _benchmark(title: str, machines: int) -> Benchmark:
    return Benchmark(
        group="punctuality",
        title=title,
        play=partial(play, machines=machines),
        goals=(
            Goal("late, p99", 1, " s"),
            Goal("late, median", unit=" s"),
            Goal("not done once", 0),
            Goal("failed passes", 0),
            Goal("passes a second of each worker"),
            Goal("CPU", unit=" % of a core"),
        ),
        runs=3,
    )


_TITLE = f"{ROWS:,} posts and {ROWS:,} links, due at random moments within two minutes"

BENCHMARKS = (_benchmark(_TITLE, 1), _benchmark(f"{_TITLE}; two machines", 2))
