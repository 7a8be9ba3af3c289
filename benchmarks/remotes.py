"""Complete passes over remote APIs, compared with the least time that their limits allow.

Battle.net allows 100 requests in any second, so with a burst of 100 at the beginning the 2,901st
of 3,000 is sent after 29 s. With 8 in flight at 50 ms the last of these 100 gets its reply after
0.65 s: 29.65 s, a little less than 3,000 / 100.

Discord allows 5 requests in 2 s and 30 in a minute for a channel, and 50 in a second from one
address. So the 50th of a channel is sent a minute after its 20th at the earliest. Alone, a
channel's 20th could be sent after 6 s; but the first 20 of all 40 channels are 800 requests, and
the last of these is sent after 15 s in any order: 75 s, and the latency of the last. (Without the
limit of the address it would be 66 s.)
"""

from __future__ import annotations

from benchmarks.benchmark import Benchmark, Figures, Goal
from common.scheduling.scheduler import Scheduler
from devservers.standins.battle_net import BattleNetServer
from devservers.standins.discord import DiscordServer
from devservers.standins.discord_answers import Reply
from testing.arena import Arena
from testing.database import TestDatabase
from testing.processes import Process, environment
from testing.warcraft_worker import WarcraftWorker
from testing.workload import only, service_of
from workers.notification import notification_retry
from workers.warcraft import character_sync
from workers.warcraft.battle_net.rate_limit import MOST_IN_FLIGHT

GROUP = "remotes"
LATENCY_SECONDS = 0.05
# Twice the time that a pass here may take.
PATIENCE_SECONDS = 180.0
INTERVAL = "24h"

# Four requests for each: profile, equipment, statistics and picture.
CHARACTERS = 750
REQUESTS = 4 * CHARACTERS
PER_SECOND = 100

CHANNELS = 40
MESSAGES = 50
PER_MINUTE = 30


def earliest(requests: int, most: int, seconds: float) -> float:
    """The earliest time of the last request, in seconds after the first, if at most ``most`` are
    allowed in any ``seconds``."""
    return (requests - 1) // most * seconds


def battle_net_bound() -> float:
    """The least time of the pass under Battle.net's quota, in seconds."""
    last_burst = earliest(PER_SECOND, MOST_IN_FLIGHT, LATENCY_SECONDS)
    return earliest(REQUESTS, PER_SECOND, 1.0) + last_burst + LATENCY_SECONDS


def discord_bound() -> float:
    """The least time of the pass under Discord's limits, in seconds."""
    before_the_minute = MESSAGES - PER_MINUTE
    channel = earliest(before_the_minute, 5, 2.0)
    address = earliest(CHANNELS * before_the_minute, 50, 1.0)
    return max(channel, address) + 60.0 + LATENCY_SECONDS


def sync_characters(arena: Arena) -> Figures:
    """One pass of character-sync over characters that were never synced."""
    with arena.database() as database, BattleNetServer() as battle_net:
        battle_net.latency = LATENCY_SECONDS
        worker = WarcraftWorker(database, battle_net)
        worker.track_many(CHARACTERS)
        settings = worker.settings | {"KAFKA_BROKERS": arena.kafka.address}
        seconds, megabytes = _measure(database, character_sync.SCHEDULER, settings)
        refused = sum(request.status == 429 for request in battle_net.requests)
        assert database.count("character_details") == CHARACTERS
        assert len(battle_net.asked("/wow/")) == REQUESTS + refused
    return {
        "times the quota's time": seconds / battle_net_bound(),
        "refused": refused,
        "seconds": seconds,
        "peak memory": megabytes,
    }


def send_notifications(arena: Arena) -> Figures:
    """One pass of notification-retry over notifications that failed once."""
    with arena.database() as database, DiscordServer() as discord:
        _fail_notifications(database, discord)
        settings = {"NOTIFICATION_ALLOW_LOOPBACK_HTTP": "true"}
        seconds, megabytes = _measure(database, notification_retry.SCHEDULER, settings)
        refused = sum(request.status == 429 for request in discord.requests)
        delivered = discord.delivered()
        assert len(delivered) == len(set(delivered)) == CHANNELS * MESSAGES
        assert not discord.too_early()
    # The stand-in does not enforce the limit of the address, so the pass must have.
    assert seconds >= discord_bound()
    return {
        "times the limits' time": seconds / discord_bound(),
        "refused": refused,
        "seconds": seconds,
        "peak memory": megabytes,
    }


def _measure(
    database: TestDatabase, scheduler: Scheduler, settings: dict[str, str]
) -> tuple[float, float]:
    """The seconds of a worker's first pass, from its log, and its peak memory in MB."""
    env = environment(database, **{**settings, **only(scheduler, INTERVAL)})
    with Process(f"workers.{service_of(scheduler)}", env=env) as worker:
        finished = worker.wait_for(
            "pass_finished", scheduler=scheduler.name, result="ok", seconds=PATIENCE_SECONDS
        )
        megabytes = worker.peak_memory * 2**20 / 1e6
        assert worker.stop() == 0
    return float(finished["seconds"]), megabytes


def _fail_notifications(database: TestDatabase, discord: DiscordServer) -> None:
    """Insert channels with failed notifications; the stand-in replies with some latency."""
    for channel in range(CHANNELS):
        name = f"channel{channel}"
        discord.order_always(name, Reply(200, delay=LATENCY_SECONDS))
        channel_id = database.insert(
            "notification_channels", name=name, webhook_url=discord.webhook_url(name)
        )["id"]
        database.query(
            """
            INSERT INTO notification_notifications (channel_id, event_id, event_type,
                event_payload, discord_message_id, status, attempt_count, last_error,
                created_at, updated_at)
            SELECT %s, event.id, 'link.expired',
                   json_build_object('id', event.id, 'data', json_build_object('n', n))::text,
                   '', 'failed', 1, 'HTTP 502', now() + n * interval '1 s', now()
            FROM generate_series(1, %s::int) AS n, format('%%s-%%s', %s::text, n) AS event (id)""",
            channel_id,
            MESSAGES,
            name,
        )


_GOALS = (Goal("refused", most=0), Goal("seconds", unit=" s"), Goal("peak memory", unit=" MB"))

BENCHMARKS = (
    Benchmark(
        group=GROUP,
        title=f"character-sync, {REQUESTS:,} requests to Battle.net at 50 ms",
        play=sync_characters,
        goals=(Goal("times the quota's time", most=1.05), *_GOALS),
    ),
    Benchmark(
        group=GROUP,
        title=f"notification-retry, {CHANNELS * MESSAGES:,} to {CHANNELS} channels of Discord",
        play=send_notifications,
        goals=(Goal("times the limits' time", most=1.05), *_GOALS),
    ),
)
