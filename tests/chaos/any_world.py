"""The world of any scheduler, and what has become of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from common.scheduling.scheduler import Scheduler
from testing.database import TestDatabase
from testing.world import ROWS, Rows
from tests.chaos.campaign import Figures
from tests.chaos.heard import Heard
from tests.chaos.remote_worlds import REMOTE, RemoteWorld

AnyWorld = Rows | RemoteWorld

SCHEDULERS: Sequence[Scheduler] = (
    *(case.scheduler for case in ROWS.values()),
    *(remote.scheduler for remote in REMOTE.values()),
)


@contextmanager
def open_world(scheduler: Scheduler, database: TestDatabase) -> Iterator[AnyWorld]:
    """The world of any scheduler, empty."""
    if scheduler.name in ROWS:
        yield Rows(ROWS[scheduler.name], database)
    else:
        with REMOTE[scheduler.name].open(database) as world:
            yield world


def judged(world: AnyWorld, said: Sequence[Heard]) -> Figures:
    """What every campaign with a world asks in the end."""
    return {
        "lost": world.undone() + sum(each.lost(world.due) for each in said),
        "second change": world.changed_twice() + sum(each.second(world.due) for each in said),
        "other bytes": sum(each.altered for each in said),
        "duplicates": sum(each.duplicates for each in said),
    }
