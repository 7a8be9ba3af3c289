"""The fault campaigns of `make chaos`, a few rounds of each at a small size."""

from collections.abc import Iterator

import pytest

from testing.arena import Arena
from tests.chaos.campaign import Campaign
from tests.chaos.campaigns import CAMPAIGNS

# The same faults in every run: a red campaign stays red until the code changes.
SEED = 1


@pytest.fixture(scope="module")
def arena(servers: None) -> Iterator[Arena]:
    with Arena() as arena:
        yield arena


@pytest.mark.timeout(300)
@pytest.mark.parametrize("campaign", CAMPAIGNS, ids=lambda campaign: campaign.name)
def test_a_promise_holds_under_faults(campaign: Campaign, arena: Arena) -> None:
    rounds = [
        campaign.play(arena, campaign.round(number, seed=SEED, full=False))
        for number in range(campaign.small_rounds)
    ]

    assert campaign.broken(campaign.merged(rounds), full=False) == []
