"""A benchmark: one run of it gives figures, of which the medians are told and judged."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from chaos.arena import Arena

# What one run found, by the names of its benchmark's goals. A ratio is of two things that were
# measured in this run, one after the other.
Figures = Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Goal:
    """One figure: reached while its median is at most ``most``; without that it is only told."""

    name: str
    most: float | None = None
    unit: str = ""

    def reached(self, figure: float) -> bool:
        return self.most is None or figure <= self.most


@dataclass(frozen=True, slots=True)
class Benchmark:
    """One row of the README's table.

    ``group`` is what `make bench BENCH=group` plays, ``title`` what is measured, at which size.
    ``play`` makes one run on servers that keep every promise (durable, acks from all), and
    leaves nothing behind. ``watched`` names the ratio that CI looks at, of a benchmark small
    enough for it.
    """

    group: str
    title: str
    play: Callable[[Arena], Figures]
    goals: tuple[Goal, ...]
    runs: int = 5
    watched: str = ""

    def medians(self, runs: Sequence[Figures]) -> dict[str, float]:
        """One figure per goal over all runs."""
        return {goal.name: statistics.median(run[goal.name] for run in runs) for goal in self.goals}

    def missed(self, figures: Figures) -> list[str]:
        """The goals that these figures do not reach, a line for each."""
        return [
            f"{self.title}: {goal.name} is {figures[goal.name]:.3g}{goal.unit}, "
            f"expected at most {goal.most:g}{goal.unit}"
            for goal in self.goals
            if goal.most is not None and not goal.reached(figures[goal.name])
        ]
