"""The workload of any scheduler, and what was lost or done twice in the end."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from common.scheduling.scheduler import Scheduler
from testing.database import TestDatabase
from testing.workload import ROWS, Rows, Workload
from tests.chaos.campaign import Figures
from tests.chaos.consumed_events import ConsumedEvents
from tests.chaos.remote_workloads import REMOTE

SCHEDULERS: Sequence[Scheduler] = (
    *(case.scheduler for case in ROWS.values()),
    *(remote.scheduler for remote in REMOTE.values()),
)


@contextmanager
def open_workload(scheduler: Scheduler, database: TestDatabase) -> Iterator[Workload]:
    """The workload of any scheduler, empty."""
    if scheduler.name in ROWS:
        yield Rows(ROWS[scheduler.name], database)
    else:
        with REMOTE[scheduler.name].open(database) as workload:
            yield workload


def loss_figures(workload: Workload, groups: Sequence[ConsumedEvents]) -> Figures:
    """The figures that every campaign with a workload has; ``groups`` are those of Consumers."""
    due = workload.due
    return {
        "lost": workload.undone() + sum(each.lost(due) for each in groups),
        "second change": workload.changed_twice() + sum(each.second(due) for each in groups),
        "other bytes": sum(each.altered for each in groups),
        "duplicates": sum(each.duplicates for each in groups),
    }
