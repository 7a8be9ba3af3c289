"""Changing and announcing many rows, compared with one statement that streams to Kafka."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from functools import partial
from typing import NamedTuple

from benchmarks import floor
from benchmarks.benchmark import Benchmark, Figures, Goal, in_turns
from benchmarks.work import (
    ITEM_EXPIRATION,
    LINK_EXPIRATION,
    POST_PUBLISHER,
    ROOMY_LINK_EXPIRATION,
    STOCK_LEVEL,
    WEBHOOK_RETRY,
    Work,
)
from benchmarks.worker_pass import Measured, measure
from testing.arena import Arena
from testing.database import TestDatabase
from testing.topics import Topic
from testing.usage import cpu_seconds, cpu_seconds_of_family, server_of, sync_milliseconds
from testing.workload import service_of

GROUP = "throughput"
RATIO = "times the floor"
CPU = "CPU of the worker for 100,000 rows"
CPU_OF_POSTGRES = "CPU of PostgreSQL for 100,000 rows"
CPU_OF_FLOOR = "CPU of the floor and its PostgreSQL for 100,000 rows"


class _Least(NamedTuple):
    """What the floor took: seconds, and seconds of CPU, its PostgreSQL's included."""

    seconds: float
    cpu: float


def play(arena: Arena, work: Work, due: int) -> Figures:
    """Do the work by its worker and by its floor, each in a copy of the same database."""
    ours, least = in_turns(by_worker, _floor, arena, work, due)
    return {
        RATIO: ours.seconds / least.seconds,
        "seconds": ours.seconds,
        "from the start of the process": ours.from_start,
        "floor": least.seconds,
        "rows a second": due / ours.seconds,
        "peak memory": ours.megabytes,
        CPU: ours.cpu * 100_000 / due,
        CPU_OF_POSTGRES: ours.cpu_of_postgres * 100_000 / due,
        CPU_OF_FLOOR: least.cpu * 100_000 / due,
        "fsync": sync_milliseconds(),
    }


def _play_roomy(arena: Arena, due: int) -> Figures:
    """The same on roomy pages, and by the worker on full pages."""
    full = by_worker(arena, LINK_EXPIRATION, due)
    roomy = play(arena, ROOMY_LINK_EXPIRATION, due)
    return {**roomy, "times as long as on full pages": roomy["seconds"] / full.seconds}


def by_worker(arena: Arena, work: Work, due: int) -> Measured:
    """Do the work by its worker, in a database of its own."""
    topics = topics_of(arena, work)
    with work.rows(due).database(arena) as database:
        measured = measure(database, work.scheduler, due, arena.kafka.address)
        assert database.count("toast_outbox") == 0
    _expect(topics, due)
    return measured


def _floor(arena: Arena, work: Work, due: int) -> _Least:
    topics = topics_of(arena, work)
    now = datetime.now(UTC)
    with work.rows(due).database(arena) as database:
        before = _cpu_of_floor(database)
        if topics:
            service, address = service_of(work.scheduler), arena.kafka.address
            seconds = floor.announce(database, address, service, work.floor, now)
        else:
            seconds = floor.change(database, work.floor, {"now": now})
        cpu = _cpu_of_floor(database) - before
    _expect(topics, due)
    return _Least(seconds, cpu)


def _cpu_of_floor(database: TestDatabase) -> float:
    """The CPU time of this process, which plays the floor, and of PostgreSQL until now."""
    return cpu_seconds(os.getpid()) + cpu_seconds_of_family(server_of(database))


def topics_of(arena: Arena, work: Work) -> list[Topic]:
    """Its topics, created once, outside the measured time."""
    for name in work.scheduler.topics:
        arena.topic(name)
    return [Topic(arena.kafka.address, name) for name in work.scheduler.topics]


def _expect(topics: list[Topic], messages: int) -> None:
    """AssertionError unless the topics have so many messages."""
    count = sum(topic.count() for topic in topics)
    assert not topics or count == messages, f"{count} messages, expected {messages}"


_GOALS = (
    Goal("seconds", unit=" s"),
    Goal("from the start of the process", unit=" s"),
    Goal("floor", unit=" s"),
    Goal("rows a second"),
    Goal("peak memory", 64, " MB"),
    Goal(CPU, unit=" s"),
    Goal(CPU_OF_POSTGRES, unit=" s"),
    Goal(CPU_OF_FLOOR, unit=" s"),
    Goal("fsync", unit=" ms"),
)


def _benchmark(
    work: Work, due: int, ratio: float | None, *, beside: str = "", watched: str = ""
) -> Benchmark:
    return Benchmark(
        group=GROUP,
        title=f"{work.scheduler.name}, {due:,} rows due among as many that are not{beside}",
        play=partial(play, work=work, due=due),
        goals=(Goal(RATIO, ratio), *_GOALS),
        watched=watched,
    )


_ROOMY = Benchmark(
    group=GROUP,
    title="link-expiration, 100,000 rows due on pages half empty (fillfactor 50)",
    play=partial(_play_roomy, due=100_000),
    goals=(Goal("times as long as on full pages"), Goal(RATIO), *_GOALS),
)

BENCHMARKS = (
    _benchmark(LINK_EXPIRATION, 10_000, None, watched=RATIO),
    _benchmark(LINK_EXPIRATION, 100_000, 1.15),
    _benchmark(LINK_EXPIRATION, 1_000_000, 1.15),
    _ROOMY,
    _benchmark(POST_PUBLISHER, 100_000, 1.3),
    _benchmark(ITEM_EXPIRATION, 100_000, 1.3),
    _benchmark(STOCK_LEVEL, 100_000, 1.3, beside=", with 2,000,000 items"),
    _benchmark(WEBHOOK_RETRY, 100_000, 1.3),
)
