"""`python -m benchmarks --watch`, for CI: whether the small benchmarks are as fast as they were."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Iterator

from benchmarks.benchmark import Benchmark
from benchmarks.results import Results
from testing.arena import Arena

RUNS = 3
# A ratio to the floor of the same run, so a slow machine is no drift; beyond this it is one,
# whatever the noise of small sizes.
MOST_DRIFT = 2.0


def watch(arena: Arena, benchmarks: Iterable[Benchmark], results: Results) -> Iterator[str]:
    """Play those that are watched; yields a line for each that drifted or cannot be judged."""
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
    was = stored.figures[benchmark.watched].median
    benchmark.play(
        arena
    )  # not counted: servers that have just started are slow to whoever is first
    now = statistics.median(benchmark.play(arena)[benchmark.watched] for _ in range(RUNS))
    said = f"{benchmark.title}: {benchmark.watched} {now:.3g}, stored {was:.3g}"
    print(said, flush=True)
    if now > MOST_DRIFT * was:
        yield f"{said}: more than {MOST_DRIFT:g} times as much"
