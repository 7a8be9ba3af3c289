"""The table of the campaigns' results in docs/evidence.md."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime

from generate import markdown, result_table
from tests.chaos.campaign import Campaign, Figures
from tests.chaos.results import Results

_COLUMNS = ("promise", "faults", "rounds", "took", "found", "holds")


def write(played: Iterable[tuple[Campaign, Results]], seed: int) -> None:
    """Replace the table in docs/evidence.md."""
    result_table.write("chaos", render(played, seed))


def render(played: Iterable[tuple[Campaign, Results]], seed: int) -> str:
    """The table, with the machine and the day below it."""
    day = datetime.now(UTC).date().isoformat()
    origin = f"Seed {seed}, {result_table.machine()}; {day}."
    return f"{markdown.table(_COLUMNS, _rows(played))}\n\n{origin}"


def found(campaign: Campaign, figures: Figures) -> str:
    """The figures in one line, in the order of the limits."""
    return ", ".join(
        f"{limit.name} {result_table.figure(figures[limit.name], limit.unit)}"
        for limit in campaign.limits
        if limit.name in figures
    )


def _rows(played: Iterable[tuple[Campaign, Results]]) -> Iterator[tuple[str, ...]]:
    for campaign, results in played:
        figures = results.figures
        yield (
            campaign.promise,
            campaign.faults,
            _rounds(campaign, results),
            result_table.duration(results.seconds),
            found(campaign, figures),
            "**no**" if campaign.broken(figures, full=True) else "yes",
        )


def _rounds(campaign: Campaign, results: Results) -> str:
    whole = results.rounds == campaign.rounds
    return f"{results.rounds:,}" if whole else f"{results.rounds:,} of {campaign.rounds:,}"
