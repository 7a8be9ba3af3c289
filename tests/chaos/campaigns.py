"""Every campaign, in the order of the README's table."""

from chaos.campaign import Campaign

CAMPAIGNS: tuple[Campaign, ...] = ()
