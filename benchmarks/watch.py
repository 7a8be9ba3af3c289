"""`python -m benchmarks --watch`, for CI: compares the small benchmarks with their results."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Iterator

from benchmarks.benchmark import Benchmark
from benchmarks.results import Results
from testing.arena import Arena

RUNS = 3
# The largest change of a ratio to the floor of the same run, which does not depend on the machine;
# the noise of small sizes is less.
MOST_DRIFT = 2.0


def watch(arena: Arena, benchmarks: Iterable[Benchmark], results: Results) -> Iterator[str]:
    """Run the watched ones; yields a line for each that drifted or has no result."""
    for benchmark in benchmarks:
        if benchmark.watched:
            yield from _compare(arena, benchmark, results)


def _compare(arena: Arena, benchmark: Benchmark, results: Results) -> Iterator[str]:
    stored = results.of(benchmark)
    if stored is None or benchmark.watched not in stored.figures:
        yield (
            f"{benchmark.title}: nothing to compare with, "
            f"run `make bench BENCH={benchmark.group}` once"
        )
        return
    before = stored.figures[benchmark.watched].median
    benchmark.play(arena)  # not counted: servers that have just started are slow
    now = statistics.median(benchmark.play(arena)[benchmark.watched] for _ in range(RUNS))
    line = f"{benchmark.title}: {benchmark.watched} {now:.3g}, stored {before:.3g}"
    print(line, flush=True)
    if now > MOST_DRIFT * before:
        yield f"{line}: more than {MOST_DRIFT:g} times as much"
