"""Every campaign, in the order of the README's table."""

from chaos import kills, postgres_away
from chaos.campaign import Campaign

CAMPAIGNS: tuple[Campaign, ...] = (kills.CAMPAIGN, postgres_away.CAMPAIGN)
