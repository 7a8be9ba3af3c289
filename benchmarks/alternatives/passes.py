"""One pass of the worker, and one of an alternative, over links of their own."""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.alternatives.links import filled
from benchmarks.alternatives.program import PassReport, Program
from benchmarks.worker_pass import Measured, measure
from testing.arena import Arena
from workers.link import link_expiration

# The Go schedulers' way takes some 15 ms a row.
PASS_SECONDS = 300.0


def of_worker(arena: Arena, due: int) -> Measured:
    """What `python -m workers.link` takes."""
    with filled(arena, due) as links:
        brokers = arena.kafka.address
        measured = measure(links.database, link_expiration.SCHEDULER, due, brokers)
        links.check()
    return measured


def of_alternative(arena: Arena, commands: Sequence[Sequence[str]], due: int) -> PassReport:
    """What a program takes; the time until its library starts the pass is not counted."""
    with filled(arena, due) as links:
        with Program(commands, links.environment) as program:
            program.start()
            program.wait(lambda: any(told.rows for told in program.passes()), PASS_SECONDS)
            [told] = [told for told in program.passes() if told.rows]
        links.check()
    assert (told.rows, told.events) == (due, due), told
    return told
