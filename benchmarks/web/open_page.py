"""What it costs to leave the front page open: a browser asks for it every few seconds."""

from __future__ import annotations

import time
from functools import partial
from itertools import cycle, islice

from benchmarks.benchmark import Benchmark, Figures, Goal
from benchmarks.rows import FilledDatabase
from benchmarks.web.filling import busy
from benchmarks.web.pages import GROUP, PAGES
from benchmarks.web.site import serving
from testing.arena import Arena
from testing.processes import Process, environment
from testing.usage import cpu_seconds, cpu_seconds_of_family, proportional_set_size, server_of

# As schedulers.html has it.
REFRESH_SECONDS = 5.0
SECONDS = 60.0
REQUESTS = 200

MEMORY = f"memory after {REQUESTS} requests"


def play(arena: Arena, filled: FilledDatabase, seconds: float = SECONDS) -> Figures:
    """Look at every page, then leave the front page open.

    A worker that publishes nothing runs beside it and shares the libraries, as on every VM.
    """
    database = filled.original(arena)
    postgres = server_of(database)
    with (
        Process("workers", "run", "twitchbot", env=environment(database)) as worker,
        serving(database) as site,
    ):
        worker.wait_for("pass_finished", count=2)
        for page in islice(cycle(PAGES.values()), REQUESTS):
            site.get(page)
        megabytes = proportional_set_size(site.process.pid)
        began = time.monotonic()
        before = cpu_seconds(site.process.pid), cpu_seconds_of_family(postgres)
        while time.monotonic() - began < seconds:
            time.sleep(REFRESH_SECONDS)
            site.get(PAGES["schedulers"])
        elapsed = time.monotonic() - began
        after = cpu_seconds(site.process.pid), cpu_seconds_of_family(postgres)
    ours, of_postgres = (
        100 * (end - start) / elapsed for start, end in zip(before, after, strict=True)
    )
    return {"CPU of the page": ours, "CPU of PostgreSQL": of_postgres, MEMORY: megabytes}


BENCHMARKS = (
    Benchmark(
        group=GROUP,
        title="the front page left open in a browser, beside a worker, a run a minute for 30 days",
        play=partial(play, filled=busy(30, 1_000_000, 1_000)),
        goals=(
            Goal("CPU of the page", 1, " % of a core"),
            Goal("CPU of PostgreSQL", 1, " % of a core"),
            Goal(MEMORY, 45, " MB"),
        ),
        runs=3,
    ),
)
