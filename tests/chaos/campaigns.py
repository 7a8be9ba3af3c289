"""Every campaign, in the order of the README's table."""

from chaos import (
    alerting,
    bad_rows,
    clocks,
    hangs,
    kafka_away,
    kills,
    late_commits,
    lost_commit,
    network,
    odd_rows,
    order,
    paused,
    postgres_away,
    retention,
    rolling,
    soak,
    starvation,
    stops,
)
from chaos.campaign import Campaign

CAMPAIGNS: tuple[Campaign, ...] = (
    kills.CAMPAIGN,
    order.CAMPAIGN,
    late_commits.CAMPAIGN,
    kafka_away.CAMPAIGN,
    postgres_away.CAMPAIGN,
    lost_commit.CAMPAIGN,
    network.CAMPAIGN,
    rolling.CAMPAIGN,
    paused.CAMPAIGN,
    bad_rows.CAMPAIGN,
    odd_rows.CAMPAIGN,
    starvation.CAMPAIGN,
    stops.CAMPAIGN,
    hangs.CAMPAIGN,
    clocks.CAMPAIGN,
    alerting.CAMPAIGN,
    retention.CAMPAIGN,
    soak.CAMPAIGN,
)
