"""Retention is invisible: transactions on the same table take no longer meanwhile."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from testing import transactions
from testing.arena import Arena
from testing.database import TestDatabase
from testing.processes import Process, environment
from testing.scheduler_rows import Row
from testing.workload import only
from tests.chaos.campaign import Campaign, Figures, Limit, Round, never
from tests.support.background import in_background
from workers.twitchbot import message_cleanup

CLIENTS, A_SECOND = 6, 300
PASS_SECONDS = 900.0

# What the bot does: a message comes in, and its stream's latest are read.
_WRITE = """
INSERT INTO twitchbot_messages (stream_id, user_id, username, display_name, message, is_moderator,
    is_subscriber, is_v_ip, is_broadcaster, sent_at, created_at)
VALUES (%s, %s, 'name', 'Name', 'new', false, false, false, false, now(), now())"""
_READ = "SELECT message FROM twitchbot_messages WHERE stream_id = %s ORDER BY sent_at DESC LIMIT 10"

# It takes one core and touches nothing: what the deleting costs beyond that is its own.
_COMPUTE = """
DO $$
DECLARE ends timestamptz := clock_timestamp() + interval '{seconds} s';
BEGIN
    WHILE clock_timestamp() < ends LOOP END LOOP;
END $$"""

_OLD = """
INSERT INTO twitchbot_messages (stream_id, user_id, username, display_name, message, is_moderator,
    is_subscriber, is_v_ip, is_broadcaster, sent_at, created_at)
SELECT stream_id, user_id, username, display_name, 'old', false, false, false, false,
       sent_at, now() - interval '91 days'
FROM (SELECT * FROM twitchbot_messages LIMIT 1) AS one, generate_series(1, %s)"""


def play(arena: Arena, current: Round) -> Figures:
    """Delete five of six parts of the messages under traffic, and look at the traffic."""
    old, young = int(current.size(5_000_000, 50_000)), int(current.size(1_000_000, 10_000))
    with arena.database() as database:
        stream = _fill(database, old, young)
        env = environment(database, **only(message_cleanup.SCHEDULER, "24h"))
        # Watching takes part of the machine too, so it goes on during every measurement.
        with (
            _traffic(database, stream) as traffic,
            transactions.watched(database, "toast-twitchbot") as longest,
        ):
            time.sleep(current.size(30, 1))
            before = traffic.take()
            database.query(_COMPUTE.format(seconds=current.size(10, 1)))
            beside_a_query = traffic.take()
            with Process("workers.twitchbot", env=env) as worker:
                worker.wait_for("scheduler_started")
                traffic.take()  # what it met while Python started
                run = worker.wait_for("pass_finished", seconds=PASS_SECONDS)
                during = traffic.take()
        kept = database.count("twitchbot_messages WHERE message <> 'new'")
        return {
            "deleted": run["processed"],
            "wrongly kept or deleted": abs(kept - young),
            "seconds": run["seconds"],
            "p99 before": 1000 * _p99(before),
            "p99 beside a query that only computes": 1000 * _p99(beside_a_query),
            "p99 meanwhile": 1000 * _p99(during),
            "p99 worse by": 100 * (_p99(during) / _p99(before) - 1),
            "longest transaction": 1000 * longest.seconds,
            "errors": traffic.errors,
        }


def _fill(database: TestDatabase, old: int, young: int) -> str:
    """Insert old messages and young ones; returns their stream."""
    stream = database.insert("twitchbot_streams")["id"]
    viewer = database.insert("twitchbot_viewers")["twitch_id"]
    place = {"stream_id": stream, "user_id": viewer}
    Row("twitchbot_messages", place).insert_many(database, young, "message")
    database.query("UPDATE twitchbot_messages SET message = 'young'")
    database.query(_OLD, old)
    database.query("VACUUM ANALYZE twitchbot_messages")
    return str(stream)


class Traffic:
    """How long each transaction of some clients took."""

    def __init__(self) -> None:
        self._seconds: list[float] = []
        self.errors = 0

    def add(self, seconds: float) -> None:
        self._seconds.append(seconds)

    def take(self) -> list[float]:
        """Those since the last call."""
        taken, self._seconds = self._seconds, []
        return taken


@contextmanager
def _traffic(database: TestDatabase, stream: str) -> Iterator[Traffic]:
    traffic, done = Traffic(), threading.Event()
    viewer = database.query("SELECT user_id FROM twitchbot_messages LIMIT 1")[0]["user_id"]

    def talk() -> None:
        with database.connect() as connection:
            next_at = time.monotonic()
            while not done.is_set():
                began = time.monotonic()
                with connection.transaction():
                    connection.execute(_WRITE, (stream, viewer))
                    connection.execute(_READ, (stream,))
                traffic.add(time.monotonic() - began)
                next_at += CLIENTS / A_SECOND
                done.wait(max(0.0, next_at - time.monotonic()))

    with in_background(done, *[talk] * CLIENTS):
        yield traffic


def _p99(seconds: list[float]) -> float:
    return sorted(seconds)[int(len(seconds) * 0.99)]


CAMPAIGN = Campaign(
    name="retention",
    promise="retention is invisible",
    faults="5 of 6 million messages deleted under 300 transactions a second on the same table",
    limits=(
        Limit("deleted", least=1),
        *never("wrongly kept or deleted", "errors"),
        Limit("seconds", unit=" s"),
        Limit("p99 before", unit=" ms"),
        Limit("p99 beside a query that only computes", unit=" ms"),
        Limit("p99 meanwhile", unit=" ms"),
        Limit("p99 worse by", most=20, unit=" %", at_full_size=True),
        Limit("longest transaction", most=500, unit=" ms", merge=max),
    ),
    play=play,
)
