"""PostgreSQL away: for long, again and again, and frozen. Workers stay, and come back at once."""

import signal
import time
from collections.abc import Iterator
from contextlib import ExitStack

from devservers.child_processes import PATIENCE, poll_until
from testing.arena import Arena
from testing.database import TestDatabase
from testing.processes import Process, environment
from testing.topics import Topic
from tests.chaos.campaign import Campaign, Figures, Limit, Round, never
from tests.chaos.consumed_events import consumed_events
from tests.chaos.outages import away, first_good_pass, moment
from tests.support.expired_links import EXPIRED

TOPIC = "link.expired"
SERVICES = ("link", "blog", "twitchbot")
# Intervals stay as they are, hours: no tick helps a pass that the outage has met.
SETTINGS = {"MESSAGE_CLEANUP_ENABLED": "false"}

# One long outage, then 200 restarts and 30 freezes, some to a round.
RESTARTS_A_ROUND, FREEZES_A_ROUND = 20, 3
KINDS = ("away", *("restarts", "freezes") * 10)
LINKS_AN_OUTAGE = 5


def play(arena: Arena, current: Round) -> Figures:
    """One kind of outage, once or some times, under the same three workers."""
    with arena.database() as database, ExitStack() as stack:
        topic = Topic(arena.kafka.address, TOPIC)
        env = environment(database, arena.kafka.address, **SETTINGS)
        workers = [stack.enter_context(Process(f"workers.{name}", env=env)) for name in SERVICES]
        for worker in workers:
            worker.wait_for("pass_finished")
        links: set[str] = set()
        figures: dict[str, float] = {}
        for how, seconds in _outages(KINDS[current.number], current):
            for _ in range(LINKS_AN_OUTAGE):
                links.add(str(database.insert("link_links", expires_at=EXPIRED)["id"]))
            for name, figure in _survive(database, workers, how, seconds).items():
                figures[name] = max(figure, figures.get(name, 0.0))
        poll_until(lambda: not database.query(_LEFT), PATIENCE)
        events = consumed_events(topic.so_far())
        return {
            **figures,
            "process exits": sum(worker.ended is not None for worker in workers),
            "lost": events.lost(links),
            "second change": events.second(links),
            "duplicates": events.duplicates,
        }


_LEFT = "SELECT 1 FROM link_links WHERE is_active UNION SELECT 1 FROM toast_outbox LIMIT 1"


def _outages(kind: str, current: Round) -> Iterator[tuple[str, float]]:
    """How the server is away, and for how many seconds."""
    dice, size = current.dice, current.size
    if kind == "away":
        yield "stopped", size(900, 4)
    elif kind == "freezes":
        yield from [("frozen", size(60, 4))] * int(size(FREEZES_A_ROUND, 1))
    else:
        for _ in range(int(size(RESTARTS_A_ROUND, 3))):
            yield dice.choice(("stopped", "crashed", "killed")), dice.uniform(0, 2)


def _survive(database: TestDatabase, workers: list[Process], how: str, seconds: float) -> Figures:
    """Let the server be away; how long the last worker then took to a good pass."""
    began = time.time()
    with away(database.server, how):
        for worker in workers:
            worker.send(signal.SIGUSR1)
        time.sleep(seconds)
        returned = time.time()
    poll_until(lambda: all(first_good_pass(worker, returned) for worker in workers), PATIENCE)
    last = max(first_good_pass(worker, returned) or time.time() for worker in workers)
    lines = max(_warnings(worker, began, last) for worker in workers)
    after = " after a freeze" if how == "frozen" else ""
    return {
        f"first good pass{after}": last - returned,
        "log lines a minute": lines / max(1.0, (returned - began) / 60),
    }


def _warnings(worker: Process, began: float, ended: float) -> int:
    """How many warnings and errors it wrote then."""
    names = ("pass_failed", "publish_failed", "pass_stalled", "publisher_stalled")
    records = (record for name in names for record in worker.records(name))
    return sum(began <= moment(record) <= ended for record in records)


CAMPAIGN = Campaign(
    name="postgres-away",
    promise="PostgreSQL may be away",
    faults="15 minutes once, 200 restarts (fast, immediate, killed), 30 freezes of a minute",
    limits=(
        Limit("process exits", most=0),
        Limit("first good pass", most=5, unit=" s", merge=max),
        Limit("first good pass after a freeze", most=25, unit=" s", merge=max),
        Limit("log lines a minute", most=10, merge=max),
        *never("lost", "second change"),
        Limit("duplicates"),
    ),
    play=play,
    rounds=len(KINDS),
    small_rounds=3,
)
