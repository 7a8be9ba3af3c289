"""The three clients of remote APIs, and what each of them records of an answer."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from ipaddress import ip_network
from random import Random
from uuid import uuid4

from common.remote.http.client import Client
from common.remote.http.egress import Egress
from tests.chaos.answers.grammar import Answer
from workers.notification.discord.client import Discord
from workers.notification.discord.message import Message
from workers.notification.discord.reply import SendResult
from workers.notification.discord.webhook import webhook
from workers.warcraft.battle_net import api_request
from workers.warcraft.battle_net.errors import BattleNetError
from workers.webhook.http_delivery import attempt
from workers.webhook.http_delivery.attempt import Delivery
from workers.webhook.http_delivery.delivery_client import DeliveryClient
from workers.webhook.http_delivery.retry_decision import decide
from workers.webhook.http_delivery.ssrf_guard import SsrfGuard

# An answer that never comes is waited for so long; all others come much sooner.
SECONDS = 2.5
LOOPBACK = (ip_network("127.0.0.0/8"),)
# The large one fills the buffers of both kernels.
PAYLOADS = ("{}",) * 8 + ("x" * 20_000, "x" * (8 << 20))


@dataclass(frozen=True, slots=True)
class Outcome:
    """What is recorded: whether it was ``taken``, the status (0: none), or the body."""

    taken: bool
    status: int | None = None
    body: bytes | None = None


@dataclass(frozen=True, slots=True)
class Exchange:
    """A way to a server that plays an answer."""

    url: str
    egress: Egress
    dice: Random


def discord(exchange: Exchange) -> Outcome:
    target = webhook(f"{exchange.url}/api/webhooks/1/token", allow_loopback_http=True)
    with closing(Discord(exchange.egress)) as remote:
        outcome = remote.post(Message(target, {"title": "t"})).outcome
    if isinstance(outcome, SendResult):
        return Outcome(not outcome.error, outcome.status)
    return Outcome(taken=False)


def receiver(exchange: Exchange) -> Outcome:
    delivery = Delivery(
        *(uuid4(), uuid4(), "link.expired", exchange.dice.choice(PAYLOADS), 0),
        *(datetime.now(UTC), "", f"{exchange.url}/hook", "s3cret-of-the-webhook"),
    )
    sent = attempt.make(delivery, DeliveryClient(SsrfGuard(LOOPBACK), SECONDS, exchange.egress))
    decision = decide(sent.reply, attempt=1, max_attempts=3, now=datetime.now(UTC))
    status = sent.columns()["response_status"]
    assert isinstance(status, int)
    return Outcome(decision.status == "success", status)


def battle_net(exchange: Exchange) -> Outcome:
    with closing(Client(exchange.egress)) as client:
        try:
            body = api_request.request(
                "battle_net", client, "GET", f"{exchange.url}/profile", "Bearer t", name="profile"
            )
        except BattleNetError:
            return Outcome(taken=False)
    return Outcome(taken=True, status=200, body=body)


def is_contrary(call: Callable[[Exchange], Outcome], answer: Answer, outcome: Outcome) -> bool:
    """Whether what is recorded contradicts what was sent."""
    if outcome.status is not None and outcome.status != (answer.status or 0):
        return True
    if call is not battle_net:
        return outcome.taken != (answer.status is not None and 200 <= answer.status < 300)
    if answer.status == 200 and answer.body is not None:
        return outcome.body != answer.body  # a reply that is whole must be read
    return outcome.taken and answer.status != 200


CLIENTS = (discord, receiver, battle_net)
