"""A process is killed while the broker is frozen, and started again afterwards.

Events that are only in the memory of the killed process are lost.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from benchmarks.alternatives.links import Links, filled
from benchmarks.alternatives.program import Program
from devservers.child_processes import poll_until
from testing.arena import Arena
from testing.processes import Process

PATIENCE_SECONDS = 120.0
# From the first committed change to the kill.
FROZEN_SECONDS = 1.0


def lost_by_worker(arena: Arena, due: int) -> int:
    """How many of ``due`` links `python -m workers.link` switches off and never announces."""
    with filled(arena, due) as links:
        with _frozen(arena), Process("workers.link", env=links.environment):
            _wait_for_changes(links)
        with Process("workers.link", env=links.environment):
            poll_until(lambda: _all_published(links), PATIENCE_SECONDS)
        assert _all_published(links)
        return links.unannounced(links.topic.so_far())


def lost_by_alternative(arena: Arena, commands: Sequence[Sequence[str]], due: int) -> int:
    """How many of ``due`` links a program switches off and never announces."""
    with filled(arena, due) as links, Program(commands, links.environment) as program:
        with _frozen(arena):
            program.start()
            _wait_for_changes(links)
            program.kill()
        program.start()
        program.wait(lambda: links.switched_off() == due, PATIENCE_SECONDS)
        # The pass that changed the last of them, or the next one, ends with a flush.
        ended = len(program.passes())
        program.wait(lambda: len(program.passes()) > ended, PATIENCE_SECONDS)
        return links.unannounced(links.topic.so_far())


@contextmanager
def _frozen(arena: Arena) -> Iterator[None]:
    """The broker keeps its connections open without replies during the block."""
    arena.kafka.freeze()
    try:
        yield
    finally:
        arena.kafka.thaw()


def _wait_for_changes(links: Links) -> None:
    assert poll_until(lambda: links.switched_off() > 0, PATIENCE_SECONDS)
    time.sleep(FROZEN_SECONDS)


def _all_published(links: Links) -> bool:
    waiting = links.database.query("SELECT 1 FROM toast_outbox LIMIT 1")
    return links.switched_off() == links.due and not waiting
