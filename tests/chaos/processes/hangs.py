"""A pass that hangs is ended by a deadline, and its siblings stay on time."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from common.events.producer import MESSAGE_SECONDS
from common.events.topics import ADMIN_SECONDS
from common.scheduling.under_way import heartbeat
from common.worker import worker_process
from devservers.standins.sse import SseServer, new_client
from devservers.standins.webhook_receiver import WebhookReceiver
from devservers.tcp_proxy import TcpProxy
from testing.arena import Arena
from testing.database import TestDatabase
from testing.passes import DAY, HOUR, MINUTE
from testing.processes import Process, environment
from testing.scheduler_cases.webhook import delivery, webhook
from testing.topics import Topic
from tests.chaos.campaign import Campaign, Figures, Limit, Round, never
from tests.chaos.outages import late_passes, moment
from tests.support.expired_links import EXPIRED

SIBLING_SECONDS = 0.5
# A sibling's tick that is later than this is late.
LATE_SECONDS = 0.3
LOCK_SECONDS = 5.0
CALL_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Hang:
    """A pass that hangs: in which worker, who its sibling is, and when it must have ended."""

    module: str
    scheduler: str
    sibling: str
    seconds: float
    settings: dict[str, str]
    begins: str = "pass_started"
    ends: tuple[str, ...] = ("pass_failed", "pass_finished")

    @property
    def of_it(self) -> dict[str, Any]:
        """What its log records have in common; those of a publisher name no scheduler."""
        return {"scheduler": self.scheduler} if self.scheduler else {}


_Opener = Callable[[Arena, TestDatabase], AbstractContextManager[Hang]]


def play(arena: Arena, current: Round) -> Figures:
    """Let one pass hang, and measure it and its sibling."""
    with arena.database() as database, _HANGS[current.number](arena, database) as hang:
        env = environment(database, **{"LOG_LEVEL": "debug", **hang.settings})
        with Process(hang.module, env=env) as process:
            begun = process.wait_for(hang.begins, **hang.of_it)
            ended = _ended(process, hang)
            seconds = ended - moment(begun)
            late = 0
            if hang.sibling:
                late = late_passes(
                    process, SIBLING_SECONDS, late=LATE_SECONDS, scheduler=hang.sibling
                )
            exits = process.ended is not None
    return {
        "not ended": seconds >= 2 * hang.seconds,
        "longest against its deadline": seconds / hang.seconds,
        "late siblings": late,
        "process exits": exits,
    }


def _ended(process: Process, hang: Hang) -> float:
    """When the first pass ended, or when it ought to have, at the latest."""
    deadline = time.monotonic() + 2 * hang.seconds
    while time.monotonic() < deadline:
        for event in hang.ends:
            for record in process.records(event, **hang.of_it):
                return moment(record)
        time.sleep(0.1)
    return time.time()


@contextmanager
def _locked_table(arena: Arena, database: TestDatabase) -> Iterator[Hang]:
    """Another session holds a lock on the table and does not release it."""
    with database.connect(autocommit=False) as connection:
        connection.execute("LOCK TABLE twitchbot_messages")
        yield Hang(
            "workers.twitchbot",
            "message-cleanup",
            "stream-closer",
            LOCK_SECONDS,
            {"STREAM_CLOSER_INTERVAL": f"{SIBLING_SECONDS}s"},
        )


@contextmanager
def _silent_receiver(arena: Arena, database: TestDatabase) -> Iterator[Hang]:
    """The receiver of a webhook takes the request, and answers nothing."""
    with WebhookReceiver() as receiver:
        due = {"status": "retrying", "next_retry_at": datetime.now(UTC) - MINUTE}
        delivery(webhook_id=webhook(url=f"{receiver.url}/stall"), **due).insert(database)
        yield Hang(
            "workers.webhook",
            "webhook-delivery",
            "webhook-retry",
            CALL_SECONDS,
            {
                "WEBHOOK_DELIVERY_ENABLED": "true",
                "WEBHOOK_DELIVERY_INTERVAL": "1h",
                "WEBHOOK_DELIVERY_TIMEOUT": f"{CALL_SECONDS}s",
                "WEBHOOK_ALLOW_PRIVATE_CIDRS": "127.0.0.0/8",
                "WEBHOOK_RETRY_SCHEDULER_INTERVAL": f"{SIBLING_SECONDS}s",
            },
        )


@contextmanager
def _frozen_service(arena: Arena, database: TestDatabase) -> Iterator[Hang]:
    """The SSE service takes calls, and answers none. Its worker has one scheduler only."""
    with SseServer() as sse:
        sse.connect(new_client(datetime.now(UTC), idle=HOUR))
        sse.freeze()
        settings = {"SSE_GRPC_ADDR": sse.address, "SSE_GRPC_TIMEOUT": f"{CALL_SECONDS}s"}
        yield Hang("workers.sse", "client-cleanup", "", CALL_SECONDS, settings)
        sse.thaw()


@contextmanager
def _silent_broker(arena: Arena, database: TestDatabase) -> Iterator[Hang]:
    """Kafka takes messages, and its report never comes: the publisher hangs, passes do not."""
    Topic(arena.kafka.address, "link.expired")  # the broker is up, and known to be
    database.insert("link_links", expires_at=EXPIRED)
    arena.kafka.freeze()
    try:
        yield Hang(
            "workers.link",
            "",
            "link-expiration",
            MESSAGE_SECONDS + ADMIN_SECONDS,
            {
                "LINK_EXPIRATION_INTERVAL": f"{SIBLING_SECONDS}s",
                "KAFKA_BROKERS": arena.kafka.address,
            },
            begins="worker_started",
            ends=("publish_failed",),
        )
    finally:
        arena.kafka.thaw()


def _black_hole(module: str, seconds: float) -> _Opener:
    @contextmanager
    def opened(arena: Arena, database: TestDatabase) -> Iterator[Hang]:
        """The connection to PostgreSQL swallows a statement, and stays open."""
        database.insert("twitchbot_messages", created_at=datetime.now(UTC) - 100 * DAY)
        with TcpProxy(database.server.port) as proxy:
            proxy.hang_at(b"DELETE FROM twitchbot_messages")
            settings = {"DB_PORT": str(proxy.port), "STREAM_CLOSER_INTERVAL": f"{SIBLING_SECONDS}s"}
            yield Hang(module, "message-cleanup", "stream-closer", seconds, settings)

    return opened


# A hang is looked for every few seconds.
_NOTICED = worker_process.SUPERVISE_SECONDS + 1
_HANGS = (
    _locked_table,
    _silent_receiver,
    _frozen_service,
    # For this worker a pass counts as stalled after a second; for the last one as it really is.
    _black_hole("tests.support.impatient_worker", _NOTICED),
    _black_hole("workers.twitchbot", heartbeat.STALLED_SECONDS + _NOTICED),
    _silent_broker,
)
# The last ones take minutes.
_QUICK = 4

CAMPAIGN = Campaign(
    name="hangs",
    promise="a hang is broken",
    faults="table locked, receiver silent, SSE service and Kafka frozen, PostgreSQL a black hole",
    limits=(
        Limit("not ended", most=0),
        Limit("longest against its deadline", most=2, merge=max),
        *never("late siblings", "process exits"),
    ),
    play=play,
    rounds=len(_HANGS),
    small_rounds=_QUICK,
)
