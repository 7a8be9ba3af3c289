"""The figures of the benchmarks, stored in results.json from one `make bench` to the next."""

from __future__ import annotations

import json
import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

from benchmarks.benchmark import Benchmark, Figures
from generate import result_table

PATH = Path(__file__).with_name("results.json")
_DIGITS = 6  # further digits are noise, and would change the file


@dataclass(frozen=True, slots=True)
class Spread:
    """One figure over all runs."""

    median: float
    least: float
    most: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Self:
        spread = (statistics.median(values), min(values), max(values))
        return cls(*(float(f"{value:.{_DIGITS}g}") for value in spread))


@dataclass(frozen=True, slots=True)
class Result:
    """The figures of one benchmark by name; the number of runs, the day and the machine."""

    figures: dict[str, Spread]
    runs: int
    day: str
    machine: str

    @property
    def medians(self) -> dict[str, float]:
        return {name: spread.median for name, spread in self.figures.items()}


class Results:
    """The last result of every benchmark by its title; one that is not run stays."""

    def __init__(self, path: Path = PATH) -> None:
        self._path = path
        stored = json.loads(path.read_text()) if path.exists() else {}
        self._by_title = {title: _parsed(result) for title, result in stored.items()}

    def of(self, benchmark: Benchmark) -> Result | None:
        """The last result; None if it has never run to its end."""
        return self._by_title.get(benchmark.title)

    def keep(self, benchmark: Benchmark, runs: Sequence[Figures]) -> Result:
        """Make the result of these runs, and write it to the file."""
        result = Result(
            {goal.name: Spread.of([run[goal.name] for run in runs]) for goal in benchmark.goals},
            len(runs),
            datetime.now(UTC).date().isoformat(),
            result_table.machine(),
        )
        self._by_title[benchmark.title] = result
        content = {title: asdict(each) for title, each in self._by_title.items()}
        self._path.write_text(f"{json.dumps(content, indent=1)}\n")
        return result


def _parsed(stored: dict[str, Any]) -> Result:
    figures = {name: Spread(**spread) for name, spread in stored["figures"].items()}
    return Result(figures, stored["runs"], stored["day"], stored["machine"])
