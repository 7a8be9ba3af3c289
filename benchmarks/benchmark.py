"""A benchmark: each run returns figures; their medians are reported and compared with goals."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import count
from typing import TypeVar

from testing.arena import Arena

A = TypeVar("A")
B = TypeVar("B")

# The figures of one run by the names of its benchmark's goals. A ratio is of two figures that were
# measured in this run, one after the other.
Figures = Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Goal:
    """One figure: its median must be at most ``most``; without ``most`` it is only reported."""

    name: str
    most: float | None = None
    unit: str = ""

    def reached(self, figure: float) -> bool:
        return self.most is None or figure <= self.most


@dataclass(frozen=True, slots=True)
class Benchmark:
    """One row of the table in docs/evidence.md.

    `make bench BENCH=group` runs a ``group``; ``title`` is what is measured, at which size.
    ``play`` makes one run on durable servers (fsync, acks from all) and leaves no data behind.
    ``watched`` is the name of the ratio that CI compares, for a small benchmark.
    """

    group: str
    title: str
    play: Callable[[Arena], Figures]
    goals: tuple[Goal, ...]
    runs: int = 5
    watched: str = ""

    def missed(self, figures: Figures) -> list[str]:
        """The goals that are not reached, a line for each; a missing figure is not reached."""
        return [
            f"{self.title}: {goal.name} is {_format(goal, figures)}, "
            f"expected at most {goal.most:g}{goal.unit}"
            for goal in self.goals
            if goal.most is not None
            and not (goal.name in figures and goal.reached(figures[goal.name]))
        ]


def in_turns(
    one: Callable[..., A], other: Callable[..., B], arena: Arena, *details: object
) -> tuple[A, B]:
    """Call both with the same arguments; the one called first alternates from run to run."""
    if next(arena.once(f"turns: {details}", count)) % 2:
        second = other(arena, *details)
        return one(arena, *details), second
    return one(arena, *details), other(arena, *details)


def _format(goal: Goal, figures: Figures) -> str:
    return f"{figures[goal.name]:.3g}{goal.unit}" if goal.name in figures else "not known"
