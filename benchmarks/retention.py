"""Deleting old rows by a worker's passes, compared with a single DELETE of the same rows."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import partial

from benchmarks import floor, rows
from benchmarks.benchmark import Benchmark, Figures, Goal, in_turns
from benchmarks.work import Work
from benchmarks.worker_pass import Measured, measure
from testing import transactions
from testing.arena import Arena
from testing.workload import service_of
from workers.twitchbot import message_cleanup
from workers.webhook import webhook_cleanup

GROUP = "retention"
RATIO = "times the single DELETE"
SAMPLE_SECONDS = 0.01

MESSAGES = Work(
    message_cleanup.SCHEDULER,
    rows.OLD_MESSAGES,
    "DELETE FROM twitchbot_messages WHERE created_at < %(now)s - interval '90 days'",
)

DELIVERIES = Work(
    webhook_cleanup.SCHEDULER,
    rows.OLD_DELIVERIES,
    """
WITH deleted AS (
    DELETE FROM webhook_deliveries
    WHERE status IN ('success', 'failed') AND created_at < %(now)s - interval '30 days'
    RETURNING id
)
DELETE FROM webhook_delivery_attempts WHERE delivery_id IN (SELECT id FROM deleted)""",
)


def play(arena: Arena, work: Work, due: int) -> Figures:
    """Delete by the worker and by one statement, each in a copy of the same database."""
    (ours, longest), single = in_turns(_ours, _single, arena, work, due)
    return {
        RATIO: ours.seconds / single,
        "longest transaction": 1000 * longest,
        "seconds": ours.seconds,
        "single DELETE": single,
        "peak memory": ours.megabytes,
    }


def _ours(arena: Arena, work: Work, due: int) -> tuple[Measured, float]:
    application = f"toast-{service_of(work.scheduler)}"
    with (
        work.rows(due).database(arena) as database,
        transactions.watched(database, application, every=SAMPLE_SECONDS) as longest,
    ):
        return measure(database, work.scheduler, due), longest.seconds


def _single(arena: Arena, work: Work, due: int) -> float:
    # Sampled too, without a result, because sampling uses processor time.
    with (
        work.rows(due).database(arena) as database,
        transactions.watched(database, "", every=SAMPLE_SECONDS),
    ):
        return floor.change(database, work.floor, {"now": datetime.now(UTC)})


def _benchmark(
    work: Work, due: int, what: str, *, judged: bool = True, watched: str = ""
) -> Benchmark:
    return Benchmark(
        group=GROUP,
        title=f"{work.scheduler.name}, {what}",
        play=partial(play, work=work, due=due),
        goals=(
            Goal(RATIO, 1.25 if judged else None),
            Goal("longest transaction", 250 if judged else None, " ms"),
            Goal("seconds", unit=" s"),
            Goal("single DELETE", unit=" s"),
            Goal("peak memory", unit=" MB"),
        ),
        watched=watched,
    )


# The smaller ones show that memory is flat.
BENCHMARKS = (
    _benchmark(MESSAGES, 100_000, "100,000 of 150,000 messages", judged=False, watched=RATIO),
    _benchmark(MESSAGES, 1_000_000, "1,000,000 of 1,500,000 messages"),
    _benchmark(
        DELIVERIES, 30_000, "30,000 of 45,000 deliveries, with 90,000 attempts", judged=False
    ),
    _benchmark(DELIVERIES, 300_000, "300,000 of 450,000 deliveries, with 900,000 attempts"),
)
