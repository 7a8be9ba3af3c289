"""webhook-delivery while the network is away: an outage uses no attempt, a dead receiver does."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID

import pytest

from common.errors import RemoteAway
from devservers.child_processes import free_port
from devservers.standins.webhook_receiver import WebhookReceiver
from testing.database import TestDatabase
from testing.passes import MINUTE, NOW
from tests.workers.webhook.deliveries import (
    add,
    add_webhook,
    attempt,
    deliver,
    delivery,
    received,
    states,
    statuses,
)

SECOND = timedelta(seconds=1)


def add_all(database: TestDatabase, receivers: Sequence[WebhookReceiver], each: int) -> list[UUID]:
    """Deliveries to /hook of each receiver."""
    webhooks = [add_webhook(database, f"{receiver.url}/hook") for receiver in receivers]
    return [add(database, webhook, attempt_count=1) for webhook in webhooks for _ in range(each)]


def answer_all(receivers: Sequence[WebhookReceiver], path: str) -> None:
    for receiver in receivers:
        receiver.answers["/hook"] = path


def fails(database: TestDatabase, after: timedelta = timedelta()) -> str:
    """Run a pass that finds an outage; returns its error."""
    with pytest.raises(RemoteAway) as error:
        deliver(database, now=NOW + after, WEBHOOK_DELIVERY_TIMEOUT="1s")
    return str(error.value)


@pytest.mark.parametrize(
    ("path", "error", "hosts"),
    [
        ("/status/503", "HTTP 503", 5),
        ("/status/500", "HTTP 500", 3),
        ("/hang-up", "the connection failed: RemoteDisconnected", 5),
        ("/stall", "no answer within 1 s", 3),
    ],
)
def test_an_outage_uses_no_attempt_and_after_it_everything_is_sent(
    database: TestDatabase, receivers: list[WebhookReceiver], path: str, error: str, hosts: int
) -> None:
    down = receivers[:hosts]
    ids = add_all(database, down, each=4)
    answer_all(down, path)

    for number in range(3):
        asked = sum(len(receiver.received) for receiver in down)
        assert error in fails(database, number * MINUTE)
        assert 3 <= sum(len(receiver.received) for receiver in down) - asked <= 4
    for row, state in states(database).items():
        assert (state["status"], state["attempt_count"]) == ("retrying", 1), row
        assert state["next_retry_at"] <= NOW + 3 * MINUTE
    assert database.query("SELECT id FROM webhook_delivery_attempts") == []

    answer_all(down, "/well")
    result = deliver(database, now=NOW + 4 * MINUTE)
    assert result.details == {"delivered": len(ids)}
    assert set(statuses(database).values()) == {"success"}


@pytest.mark.parametrize(
    "url", ["http://{host}:{port}/", "http://{name}.invalid/", "http://user:pw@{host}:{port}/"]
)
def test_a_network_that_is_down_uses_no_attempt(database: TestDatabase, url: str) -> None:
    port = free_port()
    webhooks = [
        add_webhook(database, url.format(host=f"127.0.0.{number}", port=port, name=f"n{number}"))
        for number in range(1, 5)
    ]
    ids = [add(database, webhook) for webhook in webhooks]
    for number in range(3):
        assert "Check the network and the DNS" in fails(database, number * MINUTE)
    with WebhookReceiver() as receiver:
        database.query("UPDATE webhook_webhooks SET url = %s || id", f"{receiver.url}/")
        assert deliver(database, now=NOW + 3 * MINUTE).processed == 4
        assert received(receiver) == dict.fromkeys(ids, 1)
    assert {row["attempt_count"] for row in states(database).values()} == {1}


def test_a_delivery_that_cannot_be_written_is_no_outage(
    database: TestDatabase, receivers: list[WebhookReceiver]
) -> None:
    # In a header no HTTP client can send it.
    ids = [
        add(database, f"{receiver.url}/hook", event_type="\N{BREAD}") for receiver in receivers[:4]
    ]

    result = deliver(database)

    assert result.details == {"undelivered": len(ids)}
    assert set(statuses(database).values()) == {"failed"}
    assert {row["attempt_count"] for row in states(database).values()} == {1}
    assert [receiver.received for receiver in receivers[:4]] == [[]] * 4


def test_the_wait_that_a_503_asks_for_is_kept_in_an_outage(
    database: TestDatabase, receivers: list[WebhookReceiver]
) -> None:
    ids = add_all(database, receivers[:3], each=1)
    answer_all(receivers, "/status/503?retry_after=600")
    fails(database)
    for row in ids:
        state = delivery(database, row)
        assert (state["status"], state["attempt_count"]) == ("retrying", 1)
        assert 10 * MINUTE <= state["next_retry_at"] - NOW < 11 * MINUTE


@pytest.mark.parametrize("path", ["/status/503", "/hang-up"])
@pytest.mark.parametrize(("dead", "healthy"), [(1, 0), (2, 0), (1, 4), (4, 1)])
def test_dead_receivers_among_healthy_ones_or_alone_use_their_attempts(
    database: TestDatabase, receivers: list[WebhookReceiver], path: str, dead: int, healthy: int
) -> None:
    used = receivers[: dead + healthy]
    best = add_all(database, used, each=3)[-3:]
    answer_all(used[:dead], path)
    # It was reached last, and therefore shows first that the network works, although it is the
    # last to be due.
    database.query(
        "UPDATE webhook_webhooks SET last_success_at = now() WHERE url = %s", f"{used[-1].url}/hook"
    )
    database.query(
        "UPDATE webhook_deliveries SET next_retry_at = %s WHERE id = ANY (%s)", NOW, best
    )

    result = deliver(database)

    assert result.details == ({"delivered": 3 * healthy} if healthy else {}) | {
        "undelivered": 3 * dead
    }
    assert {row["attempt_count"] for row in states(database).values()} == {2}


def test_one_dead_receiver_with_several_logins_uses_its_attempts(
    database: TestDatabase, receivers: list[WebhookReceiver]
) -> None:
    answer_all(receivers, "/status/503")
    for user in ("ann", "bob", "cid", "dora:pw"):
        url = receivers[0].url.replace("//", f"//{user}@")
        add(database, add_webhook(database, f"{url}/hook"), attempt_count=1)
    assert deliver(database).details == {"undelivered": 4}
    assert {row["attempt_count"] for row in states(database).values()} == {2}


@pytest.mark.parametrize(("reached", "is_outage"), [(-30 * SECOND, False), (-2 * MINUTE, True)])
def test_three_dead_receivers_use_their_attempts_once_another_has_been_reached(
    database: TestDatabase,
    receivers: list[WebhookReceiver],
    reached: timedelta,
    is_outage: bool,
) -> None:
    """By the live service, say: a minute after the passes began to fail."""
    ids = add_all(database, receivers[:3], each=1)
    answer_all(receivers, "/status/503")
    add_webhook(database, "http://other.example/", last_success_at=NOW + reached)
    failed = {"started_at": NOW - MINUTE - SECOND, "finished_at": NOW - MINUTE}
    database.insert(
        "toast_runs",
        service="test",
        scheduler="webhook-delivery",
        result="failed",
        error="RemoteAway: 3 receivers failed and none answered",
        **failed,
    )
    if is_outage:
        fails(database)
        assert statuses(database) == dict.fromkeys(ids, "retrying")
    else:
        assert deliver(database).details == {"undelivered": 3}
        assert {attempt(database, row)["response_status"] for row in ids} == {503}


def test_a_stop_during_an_outage_counts_no_attempt_either(
    database: TestDatabase, receivers: list[WebhookReceiver]
) -> None:
    ids = add_all(database, receivers, each=1)
    answer_all(receivers, "/status/503")

    def all_asked() -> bool:
        return sum(len(receiver.received) for receiver in receivers) >= 3

    result = deliver(database, stopping=all_asked)

    assert (result.complete, result.details) == (False, {"excused": 3})
    after = states(database)
    assert {after[row]["attempt_count"] for row in ids} == {1}
    # Due again, and not only when their lease would have ended.
    assert max(after[row]["next_retry_at"] for row in ids) < NOW + 40 * SECOND
