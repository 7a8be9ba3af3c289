"""A pass that finds nothing due, on tables of ten million rows, with and without an index."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

from benchmarks.benchmark import Benchmark, Figures, Goal
from benchmarks.idle import rows
from benchmarks.rows import FilledDatabase
from common.cli.check import indexes
from common.cli.check.checked_service import Subject
from common.config import Settings
from common.database.connection import Database
from common.scheduling.pass_runner import PassRunner
from common.scheduling.scheduler import Scheduler
from common.scheduling.service import Service
from testing.arena import Arena
from testing.database import TestDatabase
from testing.passes import load_settings
from testing.workload import service_of
from workers.blog import post_publisher
from workers.foodfolio import item_expiration
from workers.link import link_expiration
from workers.twitchbot import message_cleanup
from workers.webhook import webhook_retry

GROUP = "idle-pass"
ROWS = 10_000_000

# Passes with the index, for the median of a run; without it one pass, which reads gigabytes.
PASSES = 20

_INDEXES = "SELECT indexname AS name FROM pg_indexes WHERE schemaname = 'public'"


def play(arena: Arena, scheduler: Scheduler, statements: tuple[str, ...], size: int) -> Figures:
    """Run passes in this process: one without the index that `toast check` proposes, then
    PASSES with it."""
    database = FilledDatabase(statements, size).original(arena)
    settings = load_settings(service_of(scheduler), scheduler.variables, database.environment)
    server = Database(settings)
    idle_pass = partial(_pass, PassRunner(scheduler, settings, server))
    without = 1000 * _seconds(idle_pass)
    with _proposed_indexes(database, scheduler, settings):
        return {
            "with the index": _median_ms(idle_pass, PASSES),
            "of which to connect": _median_ms(partial(_connect, server), PASSES),
            "without": without,
        }


def _median_ms(do: Callable[[], None], times: int) -> float:
    return 1000 * statistics.median(_seconds(do) for _ in range(times))


def _seconds(do: Callable[[], None]) -> float:
    started = time.monotonic()
    do()
    return time.monotonic() - started


def _pass(runner: PassRunner) -> None:
    run = runner.run()
    assert (run.result, run.counts["processed"]) == ("ok", 0), run


def _connect(server: Database) -> None:
    with server.connect():
        pass


@contextmanager
def _proposed_indexes(
    database: TestDatabase, scheduler: Scheduler, settings: Settings
) -> Iterator[None]:
    """Create the indexes that `toast check` proposes; drop them at the end of the block."""
    subject = Subject(Service(settings.service, (scheduler,)), settings)
    present = {row["name"] for row in database.query(_INDEXES)}
    with database.connect() as connection:
        fixes = [finding.fix for finding in indexes.check(connection, subject) if finding.fix]
        assert fixes, f"no index is proposed for {scheduler.name}"
        for fix in fixes:
            connection.execute(fix.encode())
    try:
        yield
    finally:
        for name in {row["name"] for row in database.query(_INDEXES)} - present:
            database.query(f"DROP INDEX {name}")


def _benchmark(scheduler: Scheduler, statements: tuple[str, ...]) -> Benchmark:
    return Benchmark(
        group=GROUP,
        title=f"{scheduler.name}, an idle pass over {ROWS:,} rows",
        play=partial(play, scheduler=scheduler, statements=statements, size=ROWS),
        goals=(
            Goal("with the index", 20, " ms"),
            Goal("of which to connect", unit=" ms"),
            Goal("without", unit=" ms"),
        ),
    )


BENCHMARKS = (
    _benchmark(link_expiration.SCHEDULER, rows.LINKS),
    _benchmark(post_publisher.SCHEDULER, rows.POSTS),
    _benchmark(message_cleanup.SCHEDULER, rows.MESSAGES),
    _benchmark(webhook_retry.SCHEDULER, rows.DELIVERIES),
    _benchmark(item_expiration.SCHEDULER, rows.ITEMS),
)
