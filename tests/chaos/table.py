"""The README's table of what the campaigns have found."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterable
from datetime import UTC, datetime

from chaos.campaign import Campaign, Figures, Limit
from chaos.results import ROOT, Results

README = ROOT / "README.md"
BEGIN, END = "<!-- make chaos: begin -->\n", "<!-- make chaos: end -->"

_COLUMNS = ("promise", "faults", "rounds", "took", "found", "holds")


def write(played: Iterable[tuple[Campaign, Results]], seed: int) -> None:
    """Put the table into the README, in the place of the one before."""
    before, _, rest = README.read_text().partition(BEGIN)
    _, _, after = rest.partition(END)
    README.write_text(f"{before}{BEGIN}{render(played, seed)}{END}{after}")


def render(played: Iterable[tuple[Campaign, Results]], seed: int) -> str:
    """The table, with the machine and the day under it."""
    lines = [" | ".join(("", *_COLUMNS, "")).strip(), "| --- " * len(_COLUMNS) + "|"]
    for campaign, results in played:
        figures = results.figures
        cells = (
            campaign.promise,
            campaign.faults,
            _rounds(campaign, results),
            _duration(results.seconds),
            found(campaign, figures),
            "**no**" if campaign.broken(figures, full=True) else "yes",
        )
        lines.append(f"| {' | '.join(cells)} |")
    machine = f"{os.cpu_count()} cores, {_memory()} GiB, Linux, Python {platform.python_version()}"
    day = datetime.now(UTC).date().isoformat()
    return "\n".join([*lines, "", f"Seed {seed}, {machine}; {day}.", ""])


def found(campaign: Campaign, figures: Figures) -> str:
    """The figures in one line, in the order of the limits."""
    return ", ".join(
        f"{limit.name} {_figure(limit, figures[limit.name])}"
        for limit in campaign.limits
        if limit.name in figures
    )


def _figure(limit: Limit, figure: float) -> str:
    text = f"{figure:,.0f}" if figure == int(figure) or abs(figure) >= 1000 else f"{figure:.3g}"
    return f"{text}{limit.unit}"


def _rounds(campaign: Campaign, results: Results) -> str:
    whole = results.rounds == campaign.rounds
    return f"{results.rounds:,}" if whole else f"{results.rounds:,} of {campaign.rounds:,}"


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min" if minutes >= 10 else f"{minutes}:{rest:02d} min"


def _memory() -> int:
    pages, size = os.sysconf("SC_PHYS_PAGES"), os.sysconf("SC_PAGE_SIZE")
    return round(pages * size / 2**30)
