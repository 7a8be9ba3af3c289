"""The table of the benchmarks' results in docs/evidence.md."""

from __future__ import annotations

from collections.abc import Iterable

from benchmarks.benchmark import Benchmark, Figures, Goal
from benchmarks.results import Result
from generate import markdown, result_table

_COLUMNS = ("measured", "found (goal)", "runs", "reached")

Played = Iterable[tuple[Benchmark, Result]]


def render(played: Played) -> str:
    """A row for each benchmark, and the machines and days below."""
    pairs = list(played)
    rows = [
        (
            benchmark.title,
            format_figures(benchmark, result.medians),
            str(result.runs),
            "**no**" if benchmark.missed(result.medians) else _reached(benchmark),
        )
        for benchmark, result in pairs
    ]
    where = dict.fromkeys(f"{result.machine}; {result.day}." for _, result in pairs)
    medians = " ".join(["Medians of the runs.", *where])
    return f"{markdown.table(_COLUMNS, rows)}\n\n{medians}"


def format_figures(benchmark: Benchmark, figures: Figures) -> str:
    """The figures in one line, in the order of the goals, each with its goal if it has one."""
    return ", ".join(
        f"{goal.name} {result_table.figure(figures[goal.name], goal.unit)}{_most(goal)}"
        for goal in benchmark.goals
        if goal.name in figures
    )


def _most(goal: Goal) -> str:
    return "" if goal.most is None else f" ({goal.most:g}{goal.unit})"


def _reached(benchmark: Benchmark) -> str:
    """Empty for a benchmark without a goal."""
    return "yes" if any(goal.most is not None for goal in benchmark.goals) else ""
