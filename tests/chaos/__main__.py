"""`make chaos`: play the campaigns at full size, going on where they were stopped.

A round that was played is kept under the seed and the code that it judged, in .cache/chaos/,
and is not played again; Ctrl-C loses no more than the round at hand.
"""

import argparse
import sys
import time

from testing import forks
from testing.arena import Arena
from tests.chaos import table
from tests.chaos.campaign import Campaign
from tests.chaos.campaigns import CAMPAIGNS
from tests.chaos.results import Results


def main() -> int:
    """Play the campaigns of the arguments; returns 1 if a promise does not hold."""
    arguments = _arguments()
    chosen = [each for each in CAMPAIGNS if each.name in (arguments.campaign or [each.name])]
    played = [(campaign, Results(campaign, arguments.seed)) for campaign in chosen]
    with forks.opened(), Arena() as arena:
        for campaign, results in played:
            rounds = min(campaign.rounds, arguments.rounds or campaign.rounds)
            _play(arena, campaign, results, rounds, arguments.seed)
    print(table.render(_rows(played), arguments.seed))
    if arguments.write:
        every = [(campaign, Results(campaign, arguments.seed)) for campaign in CAMPAIGNS]
        names = [campaign.name for campaign in CAMPAIGNS]
        table.write(names, _rows(every), arguments.seed)
    broken = [
        line for campaign, results in played for line in campaign.broken(results.figures, full=True)
    ]
    print("\n".join(broken) or "Every promise holds.")
    return 1 if broken else 0


def _rows(played: list[tuple[Campaign, Results]]) -> list[table.Row]:
    return [table.row(campaign, results) for campaign, results in played if results.rounds]


def _play(arena: Arena, campaign: Campaign, results: Results, rounds: int, seed: int) -> None:
    for number in range(rounds):
        if results.has(number):
            continue
        started = time.monotonic()
        figures = campaign.play(arena, campaign.round(number, seed=seed, full=True))
        seconds = time.monotonic() - started
        results.add(number, seconds, figures)
        found = table.found(campaign, figures)
        print(f"{campaign.name} {number + 1}/{rounds}  {seconds:.1f} s  {found}", flush=True)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make chaos", description=__doc__)
    names = ", ".join(campaign.name for campaign in CAMPAIGNS)
    parser.add_argument("campaign", nargs="*", help=f"these only, of {names}")
    parser.add_argument("--seed", type=int, default=1, help="another seed, other faults")
    parser.add_argument("--rounds", type=int, help="no more than that many of each")
    parser.add_argument("--write", action="store_true", help="write docs/evidence.md")
    arguments = parser.parse_args()
    unknown = set(arguments.campaign) - {campaign.name for campaign in CAMPAIGNS}
    if unknown:
        parser.error(f"no campaign {', '.join(sorted(unknown))}; expected some of {names}")
    return arguments


if __name__ == "__main__":
    sys.exit(main())
