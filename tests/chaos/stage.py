"""The stage of a round: one scheduler's due rows, its workers, and consumers of its events."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager

from common.scheduling.scheduler import Scheduler
from devservers.child_processes import PATIENCE
from testing.arena import Arena
from testing.database import TestDatabase
from testing.processes import Process, environment
from testing.workload import ROWS, Rows, Workload, only, service_of
from tests.chaos.campaign import never
from tests.chaos.consumed_events import Consumers
from tests.chaos.remote_workloads import REMOTE

SCHEDULERS: Sequence[Scheduler] = (
    *(case.scheduler for case in ROWS.values()),
    *(remote.scheduler for remote in REMOTE.values()),
)

# What every round on a stage promises.
NOTHING_LOST = never("lost", "second change", "other bytes", "events left")


class Stage:
    """A workload with its worker: ``module`` runs it, ``env`` is its environment."""

    def __init__(
        self, workload: Workload, brokers: str, interval: str = "100ms", **settings: str
    ) -> None:
        """The worker runs only this scheduler, at this interval; consumers read from now on."""
        self.workload = workload
        self.database = workload.database
        self.scheduler = workload.scheduler
        self.module = f"workers.{service_of(self.scheduler)}"
        chosen = {**only(self.scheduler, interval), **workload.settings, **settings}
        self.env = environment(self.database, brokers, **chosen)
        self._consumers = Consumers(brokers, workload.topics)

    def worker(self, **variables: str) -> Process:
        """Start a worker, with these variables besides."""
        return Process(self.module, env={**self.env, **variables})

    def settle(self, seconds: float = PATIENCE, *, workers: int = 1) -> dict[str, float]:
        """Let new workers do what is left, at most so long; then judge."""
        self.catch_up(seconds, workers)
        return self.judge()

    def catch_up(self, seconds: float, workers: int) -> None:
        """Let new workers do what is left, at most so long."""
        with ExitStack() as running:
            for _ in range(workers):
                running.enter_context(self.worker())
            self.workload.wait(seconds)

    def judge(self) -> dict[str, float]:
        """Compare rows and events with the model: the figures of NOTHING_LOST, and duplicates."""
        due, groups = self.workload.due, self._consumers.events()
        return {
            "lost": self.workload.undone() + sum(each.lost(due) for each in groups),
            "second change": self.workload.changed_twice()
            + sum(each.second(due) for each in groups),
            "other bytes": sum(each.altered for each in groups),
            "events left": self.workload.waiting(),
            "duplicates": sum(each.duplicates for each in groups),
        }


@contextmanager
def staged(
    arena: Arena,
    scheduler: Scheduler,
    rows: int,
    *,
    apart: float = Workload.apart,
    brokers: str = "",
    interval: str = "100ms",
    **settings: str,
) -> Iterator[Stage]:
    """A stage in a database of its own, with rows that become due so many milliseconds apart."""
    with arena.database() as database, open_workload(scheduler, database) as workload:
        workload.apart = apart
        workload.fill(rows)
        yield Stage(workload, brokers or arena.kafka.address, interval, **settings)


@contextmanager
def open_workload(scheduler: Scheduler, database: TestDatabase) -> Iterator[Workload]:
    """The workload of any scheduler, empty."""
    if scheduler.name in ROWS:
        yield Rows(ROWS[scheduler.name], database)
    else:
        with REMOTE[scheduler.name].open(database) as workload:
            yield workload
