"""Every campaign, in the order of the table in docs/evidence.md."""

from tests.chaos.answers import strange_answers
from tests.chaos.campaign import Campaign
from tests.chaos.data import alerting, bad_rows, odd_rows, odd_tables, retention, starvation
from tests.chaos.processes import (
    clocks,
    hangs,
    kills,
    pause,
    paused,
    rolling,
    soak,
    stops,
    unread_log,
    versions,
)
from tests.chaos.servers import (
    big_outbox,
    failover,
    kafka_away,
    late_commits,
    lost_commit,
    network,
    odd_sessions,
    order,
    pooler,
    postgres_away,
    shortages,
)

CAMPAIGNS: tuple[Campaign, ...] = (
    kills.CAMPAIGN,
    order.CAMPAIGN,
    late_commits.CAMPAIGN,
    big_outbox.CAMPAIGN,
    kafka_away.CAMPAIGN,
    postgres_away.CAMPAIGN,
    failover.CAMPAIGN,
    shortages.CAMPAIGN,
    lost_commit.CAMPAIGN,
    network.CAMPAIGN,
    strange_answers.CAMPAIGN,
    rolling.CAMPAIGN,
    versions.CAMPAIGN,
    paused.CAMPAIGN,
    pause.CAMPAIGN,
    bad_rows.CAMPAIGN,
    odd_rows.CAMPAIGN,
    odd_tables.CAMPAIGN,
    odd_sessions.CAMPAIGN,
    pooler.CAMPAIGN,
    starvation.CAMPAIGN,
    stops.CAMPAIGN,
    unread_log.CAMPAIGN,
    hangs.CAMPAIGN,
    clocks.CAMPAIGN,
    alerting.CAMPAIGN,
    retention.CAMPAIGN,
    soak.CAMPAIGN,
)
