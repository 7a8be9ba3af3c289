"""The pace (TOAST_EVENTS_PER_SECOND) at which the live webhook service refuses no delivery.

Its pool sends as many deliveries in a second as it has workers, divided by the seconds that a
receiver takes to answer; its queue holds what arrives faster, until it is full.
"""

from __future__ import annotations

from functools import partial

from benchmarks.benchmark import Benchmark, Figures, Goal
from benchmarks.takeover.live_pool import LivePool, Shape
from benchmarks.takeover.quiet_pass import GROUP
from devservers.child_processes import poll_until
from testing.arena import Arena
from testing.processes import Process, environment
from testing.workload import only
from workers.link import link_expiration

EVENTS = 5_000
PATIENCE_SECONDS = 180.0

_LINKS = """
INSERT INTO link_links (original_url, short_code, expires_at, click_count, created_at, updated_at)
SELECT '', n::text, now() - interval '1 day', 0, now(), now() FROM generate_series(1, %s) AS n"""


def publish(arena: Arena, shape: Shape, events: int, per_second: int) -> LivePool:
    """Let a first pass of link publish so many events at this pace (0: none) to such a pool.

    Returns the pool when it has taken or refused all of them.
    """
    scheduler = link_expiration.SCHEDULER
    [topic] = scheduler.topics
    arena.topic(topic)
    with arena.database() as database, LivePool(arena.kafka.address, topic, shape) as pool:
        database.query(_LINKS, events)
        settings = {"TOAST_EVENTS_PER_SECOND": str(per_second), **only(scheduler, "24h")}
        env = environment(database, arena.kafka.address, **settings)
        with Process("workers.link", env=env):
            poll_until(lambda: pool.taken + pool.refused >= events, PATIENCE_SECONDS)
    assert pool.taken + pool.refused == events
    return pool


def play(arena: Arena, shape: Shape, events: int) -> Figures:
    """Without a pace, at twice what the pool sends in a second, and at just that."""
    fits = round(shape.per_second)
    unpaced, fast, fitting = (publish(arena, shape, events, pace) for pace in (0, 2 * fits, fits))
    return {
        "refused without a pace": unpaced.refused,
        f"at {2 * fits} a second": fast.refused,
        f"at {fits} a second": fitting.refused,
        "longest queue then": fitting.longest,
    }


_SHAPE = Shape()
_FITS = round(_SHAPE.per_second)

BENCHMARKS = (
    Benchmark(
        group=GROUP,
        title=f"{EVENTS:,} events to a pool as of the live webhook service: queue "
        f"{_SHAPE.queue:,}, {_SHAPE.workers} workers, {_SHAPE.seconds:g} s an answer",
        play=partial(play, shape=_SHAPE, events=EVENTS),
        goals=(
            Goal("refused without a pace"),
            Goal(f"at {2 * _FITS} a second"),
            Goal(f"at {_FITS} a second", most=0),
            Goal("longest queue then"),
        ),
        runs=3,
    ),
)
