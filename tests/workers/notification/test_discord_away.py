"""notification-retry while Discord is away: an outage uses no attempt, one dead channel does."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta

import pytest

from common.errors import RemoteAway
from common.scheduling.scheduler import PassResult
from devservers.child_processes import free_port
from devservers.standins.discord_answers import (
    BAD_GATEWAY,
    EDGE_BLOCK,
    HEALTHY,
    Reply,
    Stall,
    edge_ban,
    rate_limited,
)
from testing.passes import HOUR, MINUTE, NOW
from testing.processes import environment, toast
from tests.workers.notification.notifications import (
    CHANNELS,
    INTERVAL,
    LOOPBACK,
    TOKEN,
    Retry,
    details,
)
from workers.notification import retry_pass

SECOND = timedelta(seconds=1)
HTML_404 = Reply(404, "<html>nginx 404</html>", {"Content-Type": "text/html"})
UNAVAILABLE = Reply(503)
CHANNEL_NAMES = [f"c{number}" for number in range(1, 41)]


def answer_all(retry: Retry, answer: Reply | Stall) -> None:
    for name in CHANNEL_NAMES:
        retry.server.order_always(name, answer)


def away(retry: Retry, at: timedelta = timedelta()) -> str:
    """Run a pass that fails because Discord is away; returns its error."""
    with pytest.raises(RemoteAway) as error:
        retry.run(at=NOW + at)
    return str(error.value)


def lead_to(retry: Retry, url: str) -> None:
    """Change the URL of every webhook but its name."""
    retry.database.query(f"UPDATE {CHANNELS} SET webhook_url = %s || name || '/{TOKEN}'", url)


@pytest.mark.parametrize(
    ("answer", "error", "channels"),
    [
        (UNAVAILABLE, "HTTP 503", 40),
        (UNAVAILABLE, "HTTP 503", 1),
        (BAD_GATEWAY, "HTTP 502", 2),
        (HTML_404, "HTTP 404", 4),
        (EDGE_BLOCK, "HTTP 403: error code: 1010", 4),
        (Stall(0), "the connection failed: RemoteDisconnected", 4),
    ],
)
def test_an_outage_uses_no_attempt_and_after_it_everything_is_sent(
    quick_retry: Retry, answer: Reply | Stall, error: str, channels: int
) -> None:
    quick_retry.add_many(channels=channels, each=1)
    answer_all(quick_retry, answer)

    for number in range(4):
        asked = len(quick_retry.requests)
        text = away(quick_retry, number * MINUTE)
        assert f"Discord is away: {error}" in text
        assert f"{channels} notifications wait" in text
        assert 1 <= len(quick_retry.requests) - asked <= 3
    assert quick_retry.counts() == {("failed", 1): channels}
    assert quick_retry.attempts() == []

    answer_all(quick_retry, HEALTHY)
    after = quick_retry.run(at=NOW + 5 * MINUTE)
    assert after == PassResult(channels, details=details(delivered=channels))
    assert quick_retry.run(at=NOW + 6 * MINUTE) == PassResult()


@pytest.mark.parametrize(
    ("url", "error"),
    [
        ("http://127.0.0.1:{port}/api/webhooks/", "the connection failed: Connection refused"),
        ("https://discord.invalid/api/webhooks/", ""),
    ],
)
def test_a_network_that_is_down_uses_no_attempt(quick_retry: Retry, url: str, error: str) -> None:
    quick_retry.add_many(channels=4, each=2)
    lead_to(quick_retry, url.format(port=free_port()))
    for number in range(3):
        assert f"Discord is away: {error}" in away(quick_retry, number * MINUTE)
    assert quick_retry.counts() == {("failed", 1): 8}

    lead_to(quick_retry, f"{quick_retry.server.url}/api/webhooks/")
    assert quick_retry.run(at=NOW + 4 * MINUTE).details == details(delivered=8)


def test_a_ban_by_the_edge_is_obeyed_and_then_tried_with_one_request(quick_retry: Retry) -> None:
    quick_retry.add_many(channels=40, each=1)
    answer_all(quick_retry, edge_ban("3600"))

    for at, asked in ((0, 3), (1, 3), (59, 3), (62, 4), (120, 4)):
        text = away(quick_retry, at * MINUTE)
        assert "Discord's edge refuses this address: HTTP 429: error code: 1015" in text
        assert f"nothing is sent before 2024-02-29 {'13' if at < 62 else '14'}:" in text
        assert len(quick_retry.requests) <= asked
    assert quick_retry.counts() == {("failed", 1): 40}

    asked = len(quick_retry.requests)
    answer_all(quick_retry, Reply(200, delay=0.2))
    assert quick_retry.run(at=NOW + 3 * HOUR).details == details(delivered=40)
    probe, second = (request.at for request in quick_retry.requests[asked : asked + 2])
    assert second - probe >= 0.2


@pytest.mark.parametrize(("channels", "each"), [(4, 1), (1, 4)])
def test_the_wait_that_a_503_asks_for_is_kept(quick_retry: Retry, channels: int, each: int) -> None:
    quick_retry.add_many(channels=channels, each=each)
    answer_all(quick_retry, Reply(503, "", {"Retry-After": "120"}))
    away(quick_retry)
    asked = len(quick_retry.requests)
    assert asked == min(3, channels)
    answer_all(quick_retry, HEALTHY)

    away(quick_retry, 110 * SECOND)
    assert len(quick_retry.requests) == asked
    assert quick_retry.run(at=NOW + 3 * MINUTE).details == details(delivered=4)


def test_a_503_of_one_channel_alone_lets_that_one_wait(quick_retry: Retry) -> None:
    quick_retry.add_many(channels=2, each=2)
    quick_retry.server.order_always("c2", Reply(503, "", {"Retry-After": "600"}))
    result = quick_retry.run()
    assert (result.failed, result.details) == (1, details(delivered=2, left=1))
    assert quick_retry.run(at=NOW + INTERVAL) == PassResult(details=details(left=2))
    quick_retry.server.order_always("c2", HEALTHY)
    assert quick_retry.run(at=NOW + 3 * INTERVAL).details == details(delivered=2)


def test_a_global_limit_that_ends_an_outage_is_kept(quick_retry: Retry) -> None:
    quick_retry.add_many(channels=2, each=1)
    answer_all(quick_retry, UNAVAILABLE)
    away(quick_retry)
    answer_all(quick_retry, rate_limited(900.0, everywhere=True))
    limited = quick_retry.run(at=NOW + MINUTE)
    assert limited.details == details(rate_limited=1, left=2)
    asked = len(quick_retry.requests)
    assert quick_retry.run(at=NOW + 2 * MINUTE).details == details(left=2)
    assert len(quick_retry.requests) == asked


@pytest.mark.parametrize("answer", [UNAVAILABLE, HTML_404, Stall(0)])
def test_one_dead_channel_among_healthy_ones_uses_its_attempts(
    quick_retry: Retry, answer: Reply | Stall
) -> None:
    quick_retry.add_many(channels=5, each=12)
    quick_retry.server.order_always("c3", answer)

    for number, delivered in enumerate((48, 0)):
        if number:
            quick_retry.add("c1", "another")
            delivered = 1
        result = quick_retry.run(at=NOW + number * INTERVAL)
        assert (result.details["delivered"], result.failed) == (delivered, 12)
    assert quick_retry.counts() == {("success", 2): 49, ("failed", 3): 12}
    assert len(quick_retry.attempts()) == 49 + 24


def failed_since(retry: Retry, when: timedelta, error: str = "RemoteAway: Discord is away") -> None:
    """The passes fail since so long before now."""
    retry.database.insert(
        "toast_runs",
        service="test",
        scheduler="notification-retry",
        started_at=NOW - when - SECOND,
        finished_at=NOW - when,
        result="failed",
        error=error,
    )


@pytest.mark.parametrize(
    ("reached", "error", "attempts"),
    [
        (-30 * SECOND, "RemoteAway: Discord is away", 2),
        (-2 * MINUTE, "RemoteAway: Discord is away", 1),
        (2 * MINUTE, "RemoteAway: Discord is away", 1),
        (-30 * SECOND, "PassError: something else", 1),
    ],
)
def test_a_dead_channel_alone_uses_its_attempts_once_another_has_been_reached(
    quick_retry: Retry, reached: timedelta, error: str, attempts: int
) -> None:
    """By the live service, say: a minute after the passes began to fail by an outage."""
    quick_retry.add("dead", "e1")
    quick_retry.server.order_always("dead", UNAVAILABLE)
    failed_since(quick_retry, MINUTE, error)
    quick_retry.channel("other", last_success_at=NOW + reached)

    if attempts == 2:
        assert quick_retry.run().failed == 1
    else:
        away(quick_retry)
    assert quick_retry.counts() == {("failed", attempts): 1}


def test_nearly_every_channel_is_an_outage_too(quick_retry: Retry) -> None:
    quick_retry.add_many(channels=12, each=1)
    answer_all(quick_retry, UNAVAILABLE)
    failed_since(quick_retry, MINUTE)
    quick_retry.channel("relay", last_success_at=NOW - SECOND)
    away(quick_retry)
    assert quick_retry.counts() == {("failed", 1): 12}


def test_a_message_on_which_discord_fails_uses_its_attempts_and_the_next_are_sent(
    quick_retry: Retry,
) -> None:
    poison = quick_retry.add("news", "poison", created_at=NOW - 2 * HOUR)
    for number in range(4):
        quick_retry.add("news", f"e{number}", created_at=NOW - HOUR)
    quick_retry.order("news", UNAVAILABLE)

    assert quick_retry.run().details == details(delivered=4)
    assert quick_retry.row(poison)["attempt_count"] == 2


def test_an_outage_that_begins_during_a_pass_ends_it(quick_retry: Retry) -> None:
    quick_retry.add_many(channels=20, each=30)
    with quick_retry.running(requests=60) as passing:
        answer_all(quick_retry, UNAVAILABLE)
        with pytest.raises(RemoteAway):
            passing.result()

    statuses = Counter(request.status for request in quick_retry.requests)
    assert statuses[503] <= retry_pass.SENDERS + 3
    counts = quick_retry.counts()
    assert counts[("success", 2)] == statuses[200]
    # A good answer that was under way clears the failures before it.
    assert counts[("failed", 1)] >= 600 - statuses.total()


def test_an_operator_is_told(retry: Retry) -> None:
    retry.add("news", "e1")
    retry.order("news", UNAVAILABLE)
    env = environment(retry.database, LOG_FORMAT="json", **LOOPBACK)

    failed = toast("once", "notification", "notification-retry", env=env)
    shown = toast("status", "notification", env=env)

    assert failed.code == 1
    assert '"event": "outage_found"' in failed.err
    assert "RemoteAway: Discord is away: HTTP 503; no attempt is counted" in failed.out
    assert "failing" in shown.out
    assert "Discord is away: HTTP 503" in shown.out
