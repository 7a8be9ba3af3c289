"""A benchmark: one run of it gives figures, of which the medians are told and judged."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from testing.arena import Arena

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
    """One row of the table in docs/evidence.md.

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

    def missed(self, figures: Figures) -> list[str]:
        """The goals that are not reached, a line for each; what is judged must be there."""
        return [
            f"{self.title}: {goal.name} is {_told(goal, figures)}, "
            f"expected at most {goal.most:g}{goal.unit}"
            for goal in self.goals
            if goal.most is not None
            and not (goal.name in figures and goal.reached(figures[goal.name]))
        ]


def _told(goal: Goal, figures: Figures) -> str:
    return f"{figures[goal.name]:.3g}{goal.unit}" if goal.name in figures else "not known"
