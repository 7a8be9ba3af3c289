"""The remote APIs of `make run`: a stand-in for each on loopback, in its own process."""

from contextlib import ExitStack
from dataclasses import dataclass

from devservers.sample_data.deliveries import GONE_WEBHOOK, WEBHOOK_SECRET
from devservers.sample_data.source import Remotes
from devservers.standins.command import ServedModule

SSE_CLIENTS = 400
QUIET_SSE_CLIENTS = 60


@dataclass(frozen=True, slots=True)
class StandIns:
    """The stand-ins' addresses, and the workers' settings for them."""

    addresses: dict[str, str]
    settings: dict[str, str]
    remotes: Remotes


def start(stack: ExitStack) -> StandIns:
    """Start all four; `stack` gets the callbacks that stop them."""

    def serve(name: str, *arguments: object) -> str:
        server = ServedModule(f"standins.{name}", *map(str, arguments))
        stack.callback(server.stop)
        server.start()
        return server.address

    discord = serve("discord", "--gone", GONE_WEBHOOK)
    receivers = serve("webhook_receiver", "--secret", WEBHOOK_SECRET)
    battle_net = serve("battle_net")
    sse = serve("sse", "--clients", SSE_CLIENTS, "--quiet", QUIET_SSE_CLIENTS)
    settings = {
        "NOTIFICATION_ALLOW_LOOPBACK_HTTP": "true",
        "SSE_GRPC_ADDR": sse,
        "BLIZZARD_API_URL": battle_net,
        "BLIZZARD_OAUTH_URL": battle_net,
        "BLIZZARD_CLIENT_ID": "demonstration",
        "BLIZZARD_CLIENT_SECRET": "none-at-all",
        "WEBHOOK_DELIVERY_ENABLED": "true",
        "WEBHOOK_ALLOW_PRIVATE_CIDRS": "127.0.0.0/8",
    }
    addresses = {
        "Discord": discord,
        "Battle.net": battle_net,
        "SSE service": sse,
        "webhook receivers": receivers,
    }
    return StandIns(addresses, settings, Remotes(discord, receivers))
