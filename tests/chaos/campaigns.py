"""Every campaign, in the order of the README's table."""

from chaos import kafka_away, kills, late_commits, lost_commit, order, postgres_away, stops
from chaos.campaign import Campaign

CAMPAIGNS: tuple[Campaign, ...] = (
    kills.CAMPAIGN,
    order.CAMPAIGN,
    late_commits.CAMPAIGN,
    kafka_away.CAMPAIGN,
    postgres_away.CAMPAIGN,
    lost_commit.CAMPAIGN,
    stops.CAMPAIGN,
)
