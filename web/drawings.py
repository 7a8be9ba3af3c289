"""Drawings of passes over time, as the coordinates of SVG.

Colours and widths are in style.css, by class. Each drawing has its text, for those who cannot see
it.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from common.cli.status.run_periods import Period

# A bar of half an hour, and the height of the longest.
BAR, HEIGHT = 3, 26
_HALF_HOUR, _DAY = timedelta(minutes=30), timedelta(days=1)

# A cell of a day; of what is not fine, a pixel would not be seen.
CELL, CELL_HEIGHT, LEAST = 20, 48, 7
DAYS = 30

# Outcomes from the bottom of a cell up, each with the class of its colour.
OUTCOMES = {"failed": "bad", "paused": "held", "skipped": "late", "stopped": "late", "ok": "good"}


@dataclass(frozen=True, slots=True)
class Bars:
    """Durations: the paths of half hours without and with a failed pass, and what they show."""

    fine: str
    failed: str
    text: str


@dataclass(frozen=True, slots=True)
class Cell:
    """A day: its place, its parts as (class, top, height), and what it shows."""

    left: int
    parts: Sequence[tuple[str, float, float]]
    text: str


def bars(half_hours: Sequence[Period], first: datetime) -> Bars:
    """The longest pass of each half hour from ``first`` on; the longest of all has full height."""
    longest = max((each.longest or 0.0 for each in half_hours), default=0.0)
    paths: dict[bool, list[str]] = {False: [], True: []}
    for each in half_hours:
        left = ((each.began - first) // _HALF_HOUR) * BAR + BAR / 2
        height = max(2.0, HEIGHT * (each.longest or 0.0) / (longest or 1.0))
        paths[each.failed > 0].append(f"M{left:g} {HEIGHT + 1}v{-height:.1f}")
    failed = sum(each.failed for each in half_hours)
    text = f"longest pass {longest:.2f} s, {failed:,} failed" if half_hours else "no pass"
    return Bars("".join(paths[False]), "".join(paths[True]), f"Last 24 hours: {text}")


def cells(days: Sequence[Period], first: datetime) -> Iterator[Cell]:
    """A cell for each day from ``first`` on, also for those without a pass."""
    known = {each.began: each for each in days}
    for number in range(DAYS):
        began = first + number * _DAY
        yield _cell(number * CELL, began, known.get(began))


def _cell(left: int, began: datetime, day: Period | None) -> Cell:
    counts = numbers(day)
    parts, bottom = [], float(CELL_HEIGHT)
    for outcome, height in _heights(counts).items():
        bottom -= height
        parts.append((OUTCOMES[outcome], round(bottom, 1), round(height, 1)))
    shown = ", ".join(f"{number:,} {outcome}" for outcome, number in counts.items())
    return Cell(
        left, parts or [("none", CELL_HEIGHT - 2, 2)], f"{began:%Y-%m-%d}: {shown or 'no pass'}"
    )


def numbers(day: Period | None) -> dict[str, int]:
    """The outcomes that a day has, and their numbers."""
    every = {outcome: getattr(day, outcome, 0) for outcome in OUTCOMES}
    return {outcome: number for outcome, number in every.items() if number}


def _heights(counts: Mapping[str, int]) -> dict[str, float]:
    """The share of each outcome, but at least LEAST; what is fine gives way."""
    total = sum(counts.values())
    heights = {
        outcome: max(float(LEAST), CELL_HEIGHT * number / total)
        for outcome, number in counts.items()
    }
    excess = sum(heights.values()) - CELL_HEIGHT
    highest = max(heights, key=heights.__getitem__, default="")
    if highest:
        heights[highest] -= excess
    return heights


FILTERS: Mapping[str, Callable[..., Any]] = {"bars": bars, "cells": cells, "numbers": numbers}
