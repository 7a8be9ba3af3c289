"""One pass of the worker, and one of an alternative, each over its own links."""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.alternatives.links import filled
from benchmarks.alternatives.program import PassReport, Program
from benchmarks.worker_pass import Measured, measure
from testing.arena import Arena
from workers.link import link_expiration

# The Go schedulers' way needs some 15 ms a row.
PASS_SECONDS = 300.0


def of_worker(arena: Arena, due: int) -> Measured:
    """Measure `python -m workers.link`."""
    with filled(arena, due) as links:
        brokers = arena.kafka.address
        measured = measure(links.database, link_expiration.SCHEDULER, due, brokers)
        links.check()
    return measured


def of_alternative(arena: Arena, commands: Sequence[Sequence[str]], due: int) -> PassReport:
    """Measure a program, without the time until its library starts the pass."""
    with filled(arena, due) as links:
        with Program(commands, links.environment) as program:
            program.start()
            program.wait(lambda: any(report.rows for report in program.passes()), PASS_SECONDS)
            [report] = [report for report in program.passes() if report.rows]
        links.check()
    assert (report.rows, report.events) == (due, due), report
    return report
