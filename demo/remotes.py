"""The remote APIs of `make run`: a stand-in for each on loopback, in its own process."""

import signal
import subprocess
import sys
from contextlib import ExitStack
from dataclasses import dataclass

from devservers.checkout import ROOT
from devservers.child_processes import ServerError, bound_to_parent, end
from devservers.sample_data.deliveries import GONE_WEBHOOK, WEBHOOK_SECRET
from devservers.sample_data.source import Remotes

STOP_SECONDS = 5

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
    discord = _serve(stack, "discord", "--gone", str(GONE_WEBHOOK))
    receivers = _serve(stack, "webhook_receiver", "--secret", WEBHOOK_SECRET)
    battle_net = _serve(stack, "battle_net")
    clients = ("--clients", str(SSE_CLIENTS), "--quiet", str(QUIET_SSE_CLIENTS))
    sse = _serve(stack, "sse", *clients)
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


def _serve(stack: ExitStack, name: str, *arguments: str) -> str:
    """Start one stand-in; returns the address that it prints."""
    process = subprocess.Popen(
        [sys.executable, "-m", f"devservers.standins.{name}", *arguments],
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        # Not reached by the terminal's Ctrl-C: the workers stop first.
        start_new_session=True,
        preexec_fn=bound_to_parent(signal.SIGTERM),
    )
    stack.callback(end, process, signal.SIGTERM, STOP_SECONDS)
    assert process.stdout is not None
    with process.stdout as output:
        address = output.readline().decode().strip()
    if not address:
        raise ServerError(f"the stand-in for {name} did not start")
    return address
