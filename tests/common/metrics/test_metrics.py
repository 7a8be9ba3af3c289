"""The metrics of real workers after real work: names, labels, and that the numbers are true."""

import signal
import subprocess
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import grpc
import pytest

from common.version import VERSION
from devservers.child_processes import PATIENCE, free_port
from devservers.postgres import PostgresServer
from devservers.standins.battle_net import BattleNetServer
from devservers.standins.battle_net_game import Character, Guild
from devservers.standins.discord import DiscordServer
from devservers.standins.discord_answers import BAD_GATEWAY, UNKNOWN_WEBHOOK, rate_limited
from devservers.standins.sse import SseServer, new_client
from devservers.standins.webhook_receiver import WebhookReceiver
from testing.database import TestDatabase, fresh_database
from testing.processes import Process, environment
from testing.warcraft_worker import CLIENT_ID, CLIENT_SECRET, SILVERMOON, WarcraftWorker
from tests.support.expired_links import EXPIRED
from tests.support.scrapes import Scrape, scrape, scrape_after, scrape_until

JOB = {"service", "scheduler"}

# The interface: rules and dashboards of operators go by these names and labels.
FAMILIES = {
    "background_job_executions_total": {*JOB, "result"},
    "background_job_failures_total": JOB,
    "background_job_duration_seconds": JOB,
    "notification_retry_queue_size": {"service"},
    "webhook_delivery_failures_total": {"service"},
    "toast_build_info": {"version"},
    "toast_job_last_run_timestamp_seconds": JOB,
    "toast_job_last_success_timestamp_seconds": JOB,
    "toast_job_interval_seconds": JOB,
    "toast_job_enabled": JOB,
    "toast_job_in_progress": JOB,
    "toast_job_waits_for_takeover": JOB,
    "toast_scheduler_paused": JOB,
    "toast_job_consecutive_failures": JOB,
    "toast_job_items_total": {*JOB, "outcome"},
    "toast_lateness_seconds": JOB,
    "toast_retry_attempts_total": {"service", "kind"},
    "toast_clock_difference_seconds": {"service"},
    "toast_log_lines_dropped_total": {"service"},
    "toast_backlog_rows": JOB,
    "toast_failed_rows": JOB,
    "toast_outbox_waiting_events": {"service"},
    "toast_outbox_oldest_event_age_seconds": {"service"},
    "toast_outbox_set_aside_events": {"service"},
    "toast_events_published_total": {"service", "topic"},
    "toast_event_failures_total": {"service", "topic"},
    "toast_kafka_errors_total": {"service"},
    "toast_publisher_failures_total": {"service"},
    "toast_database_errors_total": {"service", "kind"},
    "toast_remote_calls_total": {"service", "remote", "outcome"},
    "toast_remote_call_duration_seconds": {"service", "remote"},
    "toast_rate_limit_waits_total": {"service", "remote"},
    "toast_rate_limit_wait_seconds_total": {"service", "remote"},
    "process_cpu_seconds_total": set(),
    "process_max_fds": set(),
    "process_open_fds": set(),
    "process_resident_memory_bytes": set(),
    "process_start_time_seconds": set(),
    "process_virtual_memory_bytes": set(),
}

LINK = {"service": "link", "scheduler": "link-expiration"}
TOKEN = "Zm9vYmFy-planted_token_of_a_webhook-c2VjcmV0"
SECRET = "Pl4nted-Secret-0f-the-w3bhook"


@dataclass
class Place:
    """What the workers of this file work on, and what came in at their remote sides."""

    database: TestDatabase
    broker: str
    discord: DiscordServer
    battle_net: BattleNetServer
    sse: SseServer
    receiver: WebhookReceiver


@dataclass
class Worker:
    """A worker and its port."""

    process: Process
    port: int


@pytest.fixture(scope="module")
def place(postgres_server: PostgresServer, mock_broker: str) -> Iterator[Place]:
    with ExitStack() as stack:
        yield Place(
            stack.enter_context(fresh_database(postgres_server)),
            mock_broker,
            stack.enter_context(DiscordServer()),
            stack.enter_context(BattleNetServer()),
            stack.enter_context(SseServer()),
            stack.enter_context(WebhookReceiver()),
        )


# --- what each service counts -----------------------------------------------------------------


@pytest.fixture(scope="module")
def link(place: Place) -> Iterator[Worker]:
    """Has switched off three links, and published that."""
    for _ in range(3):
        place.database.insert("link_links", expires_at=EXPIRED)
    with started("link", place) as worker:
        worker.process.wait_for("events_published", published=3)
        scrape_after(worker.port, "link-expiration")
        yield worker


@pytest.fixture(scope="module")
def notification(place: Place) -> Iterator[Worker]:
    """Has sent four messages, one of them after a wait; one was not taken, one is refused."""
    for name, answers in {
        "well": (),
        "busy": (rate_limited(0.25),),
        "broken": (BAD_GATEWAY,),
        "gone": (UNKNOWN_WEBHOOK,),
    }.items():
        place.discord.order(name, *answers)
        add_notification(place, name)
    add_notification(place, "well")
    with started("notification", place, NOTIFICATION_ALLOW_LOOPBACK_HTTP="true") as worker:
        scrape_after(worker.port, "notification-retry")
        yield worker


@pytest.fixture(scope="module")
def warcraft(place: Place) -> Iterator[Worker]:
    """Has synced two characters and a guild, although Battle.net stumbled twice."""
    tracked = WarcraftWorker(place.database, place.battle_net)
    tracked.track(Character("Thrall", SILVERMOON), Character("Jaina", SILVERMOON))
    tracked.track(Guild("Wardens", SILVERMOON))
    tracked.track(Character("Nobody", SILVERMOON))
    place.battle_net.game.characters.pop(("eu", "silvermoon", "nobody"))
    place.battle_net.order("/thrall/equipment", times=1, status=503)
    place.battle_net.order("/jaina", times=1, status=429, headers={"Retry-After": "1"})
    settings = {
        "BLIZZARD_CLIENT_ID": CLIENT_ID,
        "BLIZZARD_CLIENT_SECRET": CLIENT_SECRET,
        "BLIZZARD_API_URL": place.battle_net.url,
        "BLIZZARD_OAUTH_URL": place.battle_net.url,
    }
    with started("warcraft", place, **settings) as worker:
        for scheduler in ("character-sync", "guild-sync"):
            scrape_after(worker.port, scheduler)
        yield worker


@pytest.fixture(scope="module")
def sse(place: Place) -> Iterator[Worker]:
    """Has disconnected two quiet clients; a third one's call failed."""
    now = datetime.now(UTC)
    clients = [new_client(now, idle=timedelta(hours=1)) for _ in range(3)]
    place.sse.connect(*clients, new_client(now, idle=timedelta()))
    place.sse.orders.broken[clients[0].id] = grpc.StatusCode.PERMISSION_DENIED
    with started("sse", place, SSE_GRPC_ADDR=place.sse.address) as worker:
        scrape_after(worker.port, "client-cleanup")
        yield worker


@pytest.fixture(scope="module")
def webhook(place: Place) -> Iterator[Worker]:
    """Has tried five deliveries: two arrived, one was to wait, one failed, one was not sent."""
    url = place.receiver.url
    add_delivery(place, f"{url}/well", attempt_count=0)
    add_delivery(place, f"{url}/well?again", attempt_count=1)
    add_delivery(place, f"{url}/status/503?retry_after=120", attempt_count=0)
    add_delivery(place, f"{url}/hang-up", attempt_count=2)
    add_delivery(place, "http://10.1.2.3/private", attempt_count=1)
    settings = {
        "WEBHOOK_DELIVERY_ENABLED": "true",
        "WEBHOOK_ALLOW_PRIVATE_CIDRS": "127.0.0.0/8",
        "WEBHOOK_RETRY_SCHEDULER_ENABLED": "false",
    }
    with started("webhook", place, **settings) as worker:
        for scheduler in ("webhook-delivery", "webhook-cleanup"):
            scrape_after(worker.port, scheduler)
        yield worker


def started(service: str, place: Place, **settings: str) -> Any:
    return Started(service, environment(place.database, place.broker, **settings))


class Started:
    """A worker with a port of its own, in a `with`."""

    def __init__(self, service: str, env: dict[str, str]) -> None:
        self._port = free_port()
        env = {**env, "METRICS_PORT": str(self._port)}
        self._process = Process(f"workers.{service}", env=env)

    def __enter__(self) -> Worker:
        self._process.wait_for("metrics_port_opened")
        return Worker(self._process, self._port)

    def __exit__(self, *error: object) -> None:
        self._process.kill()


def add_notification(place: Place, channel: str) -> None:
    """A notification that failed before, in the channel whose webhook has this name."""
    url = place.discord.webhook_url(channel, TOKEN)
    known = place.database.query("SELECT id FROM notification_channels WHERE name = %s", channel)
    [row] = known or [
        place.database.insert("notification_channels", name=channel, webhook_url=url, active=True)
    ]
    place.database.insert(
        "notification_notifications",
        channel_id=row["id"],
        event_id=f"event-{uuid4()}",
        event_type="link.expired",
        event_payload='{"id": "1", "type": "link.expired", "data": {}}',
        status="failed",
        attempt_count=1,
    )


def add_delivery(place: Place, url: str, **columns: object) -> None:
    """A delivery that is due."""
    webhook = place.database.insert("webhook_webhooks", url=url, secret=SECRET, active=True)
    values = {"status": "retrying", "next_retry_at": EXPIRED, "event_payload": "{}", **columns}
    place.database.insert("webhook_deliveries", webhook_id=webhook["id"], **values)


def calls(scraped: Scrape, remote: str) -> dict[str, float]:
    """How many calls of a remote had each outcome; as many have been timed."""
    outcomes = scraped.values("toast_remote_calls_total", "outcome", remote=remote)
    timed = scraped.value("toast_remote_call_duration_seconds_count", remote=remote)
    assert timed == sum(outcomes.values())
    return outcomes


def test_passes_and_their_events_are_counted(link: Worker, place: Place) -> None:
    scraped = scrape(link.port)
    value = scraped.value
    assert scraped.values("background_job_executions_total", "result", **LINK) == {
        "ok": 1,
        "failed": 0,
        "stopped": 0,
        "skipped": 0,
    }
    assert value("background_job_failures_total", **LINK) == 0
    assert value("toast_job_consecutive_failures", **LINK) == 0
    assert value("background_job_duration_seconds_count", **LINK) == 1
    assert scraped.values("toast_job_items_total", "outcome", **LINK) == {
        "processed": 3,
        "events": 3,
        "failed": 0,
    }
    late = (datetime.now(UTC) - EXPIRED).total_seconds()
    assert value("toast_lateness_seconds_count", **LINK) == 3
    assert value("toast_lateness_seconds_bucket", **LINK, le="86400.0") == 0
    assert value("toast_lateness_seconds_sum", **LINK) == pytest.approx(3 * late, rel=1e-3)
    topic = {"service": "link", "topic": "link.expired"}
    assert value("toast_events_published_total", **topic) == 3
    assert value("toast_event_failures_total", **topic) == 0

    place.database.insert("link_links", expires_at=EXPIRED)
    link.process.send(signal.SIGUSR1)
    scraped = scrape_until(
        link.port,
        lambda scraped: (
            scraped.value("background_job_executions_total", **LINK, result="ok") == 2
            and scraped.value("toast_events_published_total", **topic) == 4
        ),
    )
    assert scraped.value("toast_job_items_total", **LINK, outcome="processed") == 4
    assert scraped.value("background_job_duration_seconds_count", **LINK) == 2


def test_when_a_pass_ran_and_how_long_it_took(link: Worker) -> None:
    scraped = scrape(link.port)
    value = scraped.value
    runs = link.process.records("pass_finished", scheduler="link-expiration")
    took = value("background_job_duration_seconds_sum", **LINK)
    assert took == pytest.approx(sum(run["seconds"] for run in runs), abs=0.002)
    ended_at = datetime.fromisoformat(runs[-1]["time"]).timestamp()
    last_success = value("toast_job_last_success_timestamp_seconds", **LINK)
    assert last_success == pytest.approx(ended_at, abs=0.2)
    last_run = value("toast_job_last_run_timestamp_seconds", **LINK)
    assert last_run == pytest.approx(ended_at - runs[-1]["seconds"], abs=0.2)
    assert value("toast_job_interval_seconds", **LINK) == 3600
    assert value("toast_job_enabled", **LINK) == 1
    assert value("toast_job_in_progress", **LINK) == 0


def test_what_has_not_happened_is_0_from_the_start(link: Worker) -> None:
    """Prometheus does not see the increase with which a series begins."""
    scraped = scrape(link.port)
    assert scraped.values("toast_retry_attempts_total", "kind") == {"pass": 0, "event": 0}
    assert scraped.values("toast_database_errors_total", "kind") == {
        "connection": 0,
        "contention": 0,
        "other": 0,
    }
    assert scraped.value("toast_kafka_errors_total", service="link") == 0


def test_a_worker_exports_its_version_and_its_process(link: Worker) -> None:
    scraped = scrape(link.port)
    assert scraped.value("toast_build_info", version=VERSION) == 1
    difference = scraped.value("toast_clock_difference_seconds", service="link")
    assert difference == pytest.approx(0, abs=1)
    memory = scraped.value("process_resident_memory_bytes")
    assert memory == pytest.approx(link.process.peak_memory * 2**20, rel=0.3)


def test_notifications_and_the_answers_of_discord_are_counted(
    notification: Worker, place: Place
) -> None:
    scraped = scrape(notification.port)
    answered = Counter(request.status for request in place.discord.requests)
    assert answered == {200: 3, 429: 1, 502: 1, 404: 1}
    assert calls(scraped, "discord") == {"2xx": 3, "429": 1, "5xx": 1, "4xx": 1}
    items = scraped.values("toast_job_items_total", "outcome", scheduler="notification-retry")
    assert (items["processed"], items["delivered"], items["rate_limited"]) == (5, 3, 1)
    # An answer 429 is no attempt.
    assert scraped.value("toast_retry_attempts_total", kind="notification") == 5
    limited = {"service": "notification", "remote": "discord"}
    assert scraped.value("toast_rate_limit_waits_total", **limited) == 1
    assert scraped.value("toast_rate_limit_wait_seconds_total", **limited) == 0.25


def test_syncs_and_the_answers_of_battle_net_are_counted(warcraft: Worker, place: Place) -> None:
    scraped = scrape(warcraft.port)
    asked = [request for request in place.battle_net.requests if request.method == "GET"]
    answered = Counter(request.status for request in asked)
    assert (answered[503], answered[429]) == (1, 1)
    assert calls(scraped, "battle_net") == {
        "2xx": answered[200],
        "4xx": answered[404],
        "5xx": 1,
        "429": 1,
    }
    assert calls(scraped, "battle_net_oauth") == {"2xx": len(place.battle_net.asked("/token"))}
    assert scraped.value("toast_retry_attempts_total", kind="request") == 2
    limited = {"service": "warcraft", "remote": "battle_net"}
    assert scraped.value("toast_rate_limit_waits_total", **limited) == 1
    assert scraped.value("toast_rate_limit_wait_seconds_total", **limited) == 1
    characters = scraped.values("toast_job_items_total", "outcome", scheduler="character-sync")
    assert (characters["processed"], characters["not_found"], characters["failed"]) == (2, 1, 0)
    guilds = scraped.values("toast_job_items_total", "outcome", scheduler="guild-sync")
    assert guilds["processed"] == 1


def test_disconnections_and_the_answers_of_the_sse_service_are_counted(
    sse: Worker, place: Place
) -> None:
    scraped = scrape_until(
        sse.port,
        # The last call is counted by gRPC's thread, just after the pass got its end.
        lambda scraped: sum(calls_of_sse(scraped).values()) == len(place.sse.requests),
    )
    assert calls(scraped, "sse") == {"ok": place.sse.listings + 2, "permission_denied": 1}
    assert scraped.values("toast_job_items_total", "outcome") == {
        "processed": 2,
        "events": 0,
        "failed": 1,
        "clients": 4,
        "inactive": 3,
        "active_again": 0,
    }


def calls_of_sse(scraped: Scrape) -> dict[str, float]:
    return scraped.values("toast_remote_calls_total", "outcome", remote="sse")


def test_deliveries_and_the_answers_of_receivers_are_counted(webhook: Worker, place: Place) -> None:
    scraped = scrape(webhook.port)
    assert len(place.receiver.received) == 4
    assert calls(scraped, "webhook") == {"2xx": 2, "5xx": 1, "no_answer": 1, "refused": 1}
    items = scraped.values("toast_job_items_total", "outcome", scheduler="webhook-delivery")
    assert (items["processed"], items["delivered"], items["undelivered"]) == (5, 2, 3)
    assert scraped.value("webhook_delivery_failures_total", service="webhook") == 3
    assert scraped.value("toast_retry_attempts_total", kind="delivery") == 3
    limited = {"service": "webhook", "remote": "webhook"}
    assert scraped.value("toast_rate_limit_waits_total", **limited) == 1
    assert scraped.value("toast_rate_limit_wait_seconds_total", **limited) == 120
    assert scraped.values("toast_lateness_seconds_count", "scheduler") == {
        "webhook-delivery": 5,
        "webhook-retry": 0,
    }
    assert scraped.values("toast_job_enabled", "scheduler") == {
        "webhook-retry": 0,
        "webhook-cleanup": 1,
        "webhook-delivery": 1,
    }
    assert scraped.values("toast_job_last_run_timestamp_seconds", "scheduler").keys() == {
        "webhook-cleanup",
        "webhook-delivery",
    }


# --- the interface ----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def everything(
    link: Worker, notification: Worker, warcraft: Worker, sse: Worker, webhook: Worker
) -> list[Scrape]:
    """The metrics of the five workers after their work, and after counting what waits."""
    return [
        scrape_until(
            worker.port, lambda scraped: scraped.values("toast_failed_rows", "scheduler") != {}
        )
        for worker in (link, notification, warcraft, sse, webhook)
    ]


def test_the_metrics_are_those_that_are_promised(everything: list[Scrape]) -> None:
    found: dict[str, set[str]] = {}
    for scraped in everything:
        for family, labels in scraped.labels.items():
            assert found.setdefault(family, labels) == labels, family
    assert found == FAMILIES


def test_every_series_is_of_the_service(everything: list[Scrape]) -> None:
    services = ("link", "notification", "warcraft", "sse", "webhook")
    for service, scraped in zip(services, everything, strict=True):
        found = {sample.labels.get("service", service) for sample in scraped.samples}
        assert found == {service}


def test_promtool_finds_nothing_to_complain_about(everything: list[Scrape], promtool: str) -> None:
    for scraped in everything:
        checked = subprocess.run(
            [promtool, "check", "metrics"],
            input=scraped.text,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
        assert (checked.returncode, checked.stdout, checked.stderr) == (0, "", "")


def test_series_are_few_and_hold_no_ids_addresses_or_secrets(
    everything: list[Scrape], place: Place
) -> None:
    text = "\n".join(scraped.text for scraped in everything)
    planted = [TOKEN, SECRET, CLIENT_ID, CLIENT_SECRET, place.battle_net.token]
    planted += [place.database.server.password, "http:", "127.0.0.1", "silvermoon", "thrall"]
    planted += [str(UUID(str(row["id"]))) for table in TABLES for row in rows(place, table)]
    planted += [*place.sse.clients, *place.sse.cuts]
    assert len(planted) > 25
    assert [secret for secret in planted if secret.lower() in text.lower()] == []
    assert max(len(scraped.samples) for scraped in everything) < 250


TABLES = (
    *("link_links", "notification_channels", "notification_notifications"),
    *("characters", "guilds", "webhook_webhooks", "webhook_deliveries", "toast_runs"),
)


def rows(place: Place, table: str) -> list[Any]:
    return place.database.query(f"SELECT id FROM {table}")
