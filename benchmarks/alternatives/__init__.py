"""The worker of link compared with other libraries: same rows, same broker, same machine.

Each program in `programs/` follows its library's documentation, with a producer that has the
worker's guarantees. None has an outbox.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from benchmarks.alternatives.libraries import version
from benchmarks.alternatives.passes import of_alternative, of_worker
from benchmarks.alternatives.restarts import lost_by_alternative, lost_by_worker
from benchmarks.benchmark import Benchmark, Figures, Goal, in_turns
from benchmarks.worker_pass import Measured
from testing.arena import Arena

GROUP = "alternatives"
RATIO = "times our time per row"
DUE = 10_000
# Fewer, because the Go schedulers' way would take two minutes for 10,000.
GO_DUE = 1_000
MANY_DUE = 100_000
RESTART_DUE = 1_000


@dataclass(frozen=True, slots=True)
class Alternative:
    """Its title in the table, and the arguments of each of its Python processes."""

    title: str
    commands: tuple[tuple[str, ...], ...]


GO = Alternative("the Go schedulers' way, in Python", (("-m", "programs.go_scheduler"),))

_OBJECTS = f"SQLAlchemy {version('SQLAlchemy')} objects"
CELERY = Alternative(
    f"Celery {version('celery')} beat, {_OBJECTS}",
    (
        # One process for the tasks: the default is one for each processor.
        ("-m", "celery", "-A", "programs.celery_beat", "worker", "--concurrency", "1"),
        ("-m", "celery", "-A", "programs.celery_beat", "beat"),
    ),
)
APSCHEDULER = Alternative(
    f"APScheduler {version('APScheduler')}, {_OBJECTS}", (("-m", "programs.apscheduler_interval"),)
)
PROCRASTINATE = Alternative(
    f"Procrastinate {version('procrastinate')}, one plain UPDATE",
    (("-m", "programs.procrastinate_periodic"),),
)

ALTERNATIVES = (GO, CELERY, APSCHEDULER, PROCRASTINATE)


def play(arena: Arena, alternative: Alternative) -> Figures:
    """Expire as many links by the worker and by the alternative; the first one alternates."""
    ours, theirs = in_turns(_of_worker, of_alternative, arena, alternative.commands, DUE)
    return {
        RATIO: theirs.seconds / ours.seconds,
        "seconds": theirs.seconds,
        "ours": ours.seconds,
        "peak memory": theirs.megabytes,
        "our peak memory": ours.megabytes,
    }


def _of_worker(arena: Arena, _: object, due: int) -> Measured:
    return of_worker(arena, due)


def play_go(arena: Arena) -> Figures:
    """The same, but by the worker also at a size for which the Go way needs half an hour."""
    theirs = of_alternative(arena, GO.commands, GO_DUE)
    few, many = of_worker(arena, GO_DUE), of_worker(arena, MANY_DUE)
    return {
        f"{RATIO} at {GO_DUE:,}": theirs.seconds / few.seconds,
        f"{RATIO} at {MANY_DUE:,}": (theirs.seconds / GO_DUE) / (many.seconds / MANY_DUE),
        "rows a second": GO_DUE / theirs.seconds,
        f"ours at {GO_DUE:,}": GO_DUE / few.seconds,
        f"ours at {MANY_DUE:,}": MANY_DUE / many.seconds,
        "peak memory": theirs.megabytes,
        "our peak memory": many.megabytes,
    }


def play_restarts(arena: Arena) -> Figures:
    """Kill each while the broker is frozen, and start it again afterwards."""
    lost = {
        alternative.title: lost_by_alternative(arena, alternative.commands, RESTART_DUE)
        for alternative in ALTERNATIVES
    }
    return {"ours": lost_by_worker(arena, RESTART_DUE), **lost}


def _title(alternative: Alternative, due: int) -> str:
    return f"link-expiration by {alternative.title}: {due:,} rows due among as many that are not"


def _benchmark(alternative: Alternative) -> Benchmark:
    return Benchmark(
        group=GROUP,
        title=_title(alternative, DUE),
        play=partial(play, alternative=alternative),
        goals=(
            Goal(RATIO),
            Goal("seconds", unit=" s"),
            Goal("ours", unit=" s"),
            Goal("peak memory", unit=" MB"),
            Goal("our peak memory", unit=" MB"),
        ),
    )


_GO = Benchmark(
    group=GROUP,
    title=_title(GO, GO_DUE),
    play=play_go,
    goals=(
        Goal(f"{RATIO} at {GO_DUE:,}"),
        Goal(f"{RATIO} at {MANY_DUE:,}"),
        Goal("rows a second"),
        Goal(f"ours at {GO_DUE:,}"),
        Goal(f"ours at {MANY_DUE:,}"),
        Goal("peak memory", unit=" MB"),
        Goal("our peak memory", unit=" MB"),
    ),
)

_RESTARTS = Benchmark(
    group=GROUP,
    title=f"link-expiration, killed while Kafka is frozen: events lost of {RESTART_DUE:,}",
    play=play_restarts,
    goals=(Goal("ours", 0), *(Goal(alternative.title) for alternative in ALTERNATIVES)),
)

BENCHMARKS = (_GO, *map(_benchmark, (CELERY, APSCHEDULER, PROCRASTINATE)), _RESTARTS)
