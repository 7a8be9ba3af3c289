"""A fault campaign: a promise, rounds that put it to the test, and the figures they give."""

import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from random import Random
from typing import Protocol

from testing.arena import Arena

# What one round found, by the names of its campaign's limits.
Figures = Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Limit:
    """One figure of a promise: it holds while the figure is not over ``most`` nor under ``least``.

    With neither, the figure is shown and not judged; with ``at_full_size`` it is judged only there:
    a duration on a busy machine proves nothing. ``merge`` combines the figures of two rounds: their
    sum, or ``max``, or ``min``.
    """

    name: str
    most: float | None = None
    least: float | None = None
    unit: str = ""
    at_full_size: bool = False
    merge: Callable[[float, float], float] = operator.add

    def holds(self, figure: float) -> bool:
        return (self.most is None or figure <= self.most) and (
            self.least is None or figure >= self.least
        )


def never(*names: str) -> tuple[Limit, ...]:
    """Limits of figures that count what must not happen."""
    return tuple(Limit(name, most=0) for name in names)


@dataclass(frozen=True, slots=True)
class Round:
    """One round: its number from 0, dice of its own, and whether it is of the full size."""

    number: int
    dice: Random = field(repr=False)
    full: bool

    def size(self, full: float, small: float) -> float:
        """The one of two sizes that this round is to have."""
        return full if self.full else small


class Play(Protocol):
    """Plays one round. What it finds is in the figures, and only a broken stage raises."""

    def __call__(self, arena: Arena, current: Round, /) -> Figures: ...


@dataclass(frozen=True, slots=True)
class Campaign:
    """A promise and how it is tested; ``faults`` describes all rounds for the table.

    ``small_rounds`` is how many of them `make test` plays.
    """

    name: str
    promise: str
    faults: str
    limits: tuple[Limit, ...]
    play: Play
    rounds: int = 1
    small_rounds: int = 1

    def round(self, number: int, *, seed: int, full: bool) -> Round:
        """The same round every time, for the same seed."""
        return Round(number, Random(f"{self.name} {seed} {number}"), full)

    def merged(self, rounds: list[Figures]) -> dict[str, float]:
        """One figure per limit over all rounds; a figure that no round has given is left out."""
        merged: dict[str, float] = {}
        for limit in self.limits:
            for figures in rounds:
                if limit.name in figures:
                    figure = figures[limit.name]
                    known = merged.get(limit.name)
                    merged[limit.name] = figure if known is None else limit.merge(known, figure)
        return merged

    def broken(self, figures: Figures, *, full: bool) -> list[str]:
        """What does not hold, a line for each limit; a judged figure must be there."""
        return [
            f"{self.name}: {limit.name} is {figures.get(limit.name, 'not known')}, {_bound(limit)}"
            for limit in self.limits
            if (limit.most is not None or limit.least is not None)
            and (full or not limit.at_full_size)
            and not (limit.name in figures and limit.holds(figures[limit.name]))
        ]


def _bound(limit: Limit) -> str:
    bounds = [
        f"{word} {bound:g}{limit.unit}"
        for word, bound in (("at least", limit.least), ("at most", limit.most))
        if bound is not None
    ]
    return f"expected {' and '.join(bounds)}"
