"""Runs checks in parallel with a deadline: a check that hangs does not hide the others."""

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from common.cli.check.findings import Found, error

# Each step of a check has a shorter deadline; this is for those that cannot, such as a host name
# lookup.
DEADLINE_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class CheckJob:
    """One check, and the services that it is about."""

    check: str
    services: Sequence[str]
    run: Callable[[], Iterable[Found]]


class _Thread(threading.Thread):
    def __init__(self, job: CheckJob) -> None:
        # A daemon, so that a check that hangs does not keep the command alive.
        super().__init__(name=f"check {job.check}", daemon=True)
        self.job = job
        self.found: list[Found] = []
        self.complete = False

    def run(self) -> None:
        for found in self.job.run():
            self.found.append(found)
        self.complete = True


def run_all(jobs: Iterable[CheckJob], seconds: float = DEADLINE_SECONDS) -> Iterator[Found]:
    """The findings of each job, in order; after ``seconds``, what it has found so far."""
    deadline = time.monotonic() + seconds
    threads = [_Thread(job) for job in jobs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(max(0.0, deadline - time.monotonic()))
        complete = thread.complete
        yield from tuple(thread.found)
        if not complete:
            reason = f"no answer within {seconds:g} s" if thread.is_alive() else "it broke down"
            for service in thread.job.services:
                yield service, error(thread.job.check, f"not checked to the end: {reason}")
