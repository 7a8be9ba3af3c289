"""`make bench`: run the benchmarks and store their figures in results.json.

Each is stored when its last run has ended: Ctrl-C loses only the present one.
"""

from __future__ import annotations

import argparse
import sys
import time

from benchmarks import alternatives, punctuality, remotes, retention, table, throughput
from benchmarks.benchmark import Benchmark
from benchmarks.idle import passes as idle_passes
from benchmarks.idle import workers as idle_workers
from benchmarks.results import Results
from benchmarks.takeover import pace, quiet_pass
from benchmarks.watch import watch
from benchmarks.web import open_page, pages
from generate import result_table
from testing.arena import Arena

# In the order of the table in docs/evidence.md.
BENCHMARKS: tuple[Benchmark, ...] = (
    *throughput.BENCHMARKS,
    *quiet_pass.BENCHMARKS,
    *pace.BENCHMARKS,
    *alternatives.BENCHMARKS,
    *retention.BENCHMARKS,
    *remotes.BENCHMARKS,
    *punctuality.BENCHMARKS,
    *idle_workers.BENCHMARKS,
    *idle_passes.BENCHMARKS,
    *pages.BENCHMARKS,
    *open_page.BENCHMARKS,
)


def main() -> int:
    """Run the chosen benchmarks; returns 1 if a goal is missed, or speed has drifted."""
    arguments = _arguments()
    results = Results()
    with Arena(durable=True) as arena:
        if arguments.watch:
            return _report(list(watch(arena, BENCHMARKS, results)), "Nothing has drifted.")
        chosen = [each for each in BENCHMARKS if each.group in (arguments.group or [each.group])]
        for benchmark in chosen:
            _play(arena, benchmark, results, arguments.runs or benchmark.runs)
    print(table.render(_played(chosen, results)))
    if arguments.write:
        result_table.write("bench", table.render(_played(BENCHMARKS, results)))
    missed = [
        line
        for benchmark, result in _played(chosen, results)
        for line in benchmark.missed(result.medians)
    ]
    return _report(missed, "Every goal is reached.")


def _play(arena: Arena, benchmark: Benchmark, results: Results, runs: int) -> None:
    figures = []
    for number in range(1, runs + 1):
        started = time.monotonic()
        figures.append(benchmark.play(arena))
        seconds = time.monotonic() - started
        line = table.format_figures(benchmark, figures[-1])
        print(f"{benchmark.title} {number}/{runs}  {seconds:.1f} s  {line}", flush=True)
    results.keep(benchmark, figures)


def _played(benchmarks: tuple[Benchmark, ...] | list[Benchmark], results: Results) -> table.Played:
    """The benchmarks with a result."""
    return [(each, result) for each in benchmarks if (result := results.of(each))]


def _report(faults: list[str], success: str) -> int:
    print("\n".join(faults) or success)
    return 1 if faults else 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    groups = list(dict.fromkeys(each.group for each in BENCHMARKS))
    parser.add_argument("group", nargs="*", help=f"these only, of {', '.join(groups)}")
    parser.add_argument("--runs", type=int, help="that many of each")
    parser.add_argument("--write", action="store_true", help="write docs/evidence.md")
    parser.add_argument(
        "--watch", action="store_true", help="compare small ones with their results"
    )
    arguments = parser.parse_args()
    unknown = set(arguments.group) - set(groups)
    if unknown:
        parser.error(f"no group {', '.join(sorted(unknown))}; expected some of {', '.join(groups)}")
    return arguments


if __name__ == "__main__":
    sys.exit(main())
