"""The table of the campaigns' results in docs/evidence.md."""

import subprocess
from collections.abc import Iterable, Sequence
from pathlib import Path

from devservers.checkout import ROOT
from generate import markdown, result_table
from tests.chaos.campaign import Campaign, Figures
from tests.chaos.results import Results

Row = Sequence[str]

_COLUMNS = ("campaign", "promise", "faults", "rounds", "took", "found", "holds", "played")


def write(
    names: Iterable[str], rows: Iterable[Row], seed: int, path: Path = result_table.EVIDENCE
) -> None:
    """Replace these rows in docs/evidence.md, in the order of ``names``.

    A campaign of ``names`` that was not played on today's code keeps its row, which says when it
    was played.
    """
    region = path.read_text().partition("generated: chaos")[2].partition("end generated")[0]
    lines = [line.strip("|").split("|") for line in region.splitlines() if line.startswith("|")]
    known = {cells[0].strip(): [cell.strip() for cell in cells] for cells in lines}
    known |= {row[0]: [*row] for row in rows}
    ordered = [known[name] for name in names if name in known]
    result_table.write("chaos", render(ordered, seed), path)


def render(rows: Iterable[Row], seed: int) -> str:
    """The table, with the seed and the machine below it."""
    origin = f"Seed {seed}, {result_table.machine()}."
    return f"{markdown.table(_COLUMNS, rows)}\n\n{origin}"


def row(campaign: Campaign, results: Results) -> Row:
    """What one campaign has found on today's code."""
    figures, whole = results.figures, results.rounds == campaign.rounds
    return (
        campaign.name,
        campaign.promise,
        campaign.faults,
        f"{results.rounds:,}" if whole else f"{results.rounds:,} of {campaign.rounds:,}",
        result_table.duration(results.seconds),
        found(campaign, figures),
        "**no**" if campaign.broken(figures, full=True) else "yes",
        f"{results.day}, {_commit()}",
    )


def found(campaign: Campaign, figures: Figures) -> str:
    """The figures in one line, in the order of the limits."""
    return ", ".join(
        f"{limit.name} {result_table.figure(figures[limit.name], limit.unit)}"
        for limit in campaign.limits
        if limit.name in figures
    )


def _commit() -> str:
    """The commit of the code; with changes since then it ends with -dirty."""
    command = ("git", "describe", "--always", "--dirty", "--exclude=*")
    finished = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    return finished.stdout.strip() or "no commit"
