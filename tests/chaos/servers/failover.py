"""A standby takes over from a primary that was killed, again and again; workers know both hosts."""

import signal
import time
from collections.abc import Sequence
from contextlib import ExitStack

from devservers.child_processes import PATIENCE, poll_until
from devservers.postgres_pair import PostgresPair
from testing.arena import Arena
from testing.database import TestDatabase, create_template
from testing.processes import Process
from testing.workload import DUE_BY
from tests.chaos.campaign import Campaign, Figures, Limit, Round, never
from tests.chaos.outages import first_good_pass
from tests.chaos.stage import NOTHING_LOST, SCHEDULERS, Stage, open_workload

WORKERS = 2
FAILOVERS_A_ROUND = 10
ROUNDS = 2 * len(SCHEDULERS)
# Rows become due for about as long as it takes from one failover to the next.
ROWS_A_FAILOVER, ROWS_APART = 100, 25.0


def play(arena: Arena, current: Round) -> Figures:
    """Some failovers of two servers of the round's own, under one scheduler."""
    failovers = int(current.size(FAILOVERS_A_ROUND, 2))
    with PostgresPair() as pair, ExitStack() as stack:
        database = TestDatabase(pair.primary, create_template(pair.primary))
        scheduler = SCHEDULERS[current.number % len(SCHEDULERS)]
        workload = stack.enter_context(open_workload(scheduler, database))
        workload.apart = ROWS_APART
        workload.fill(failovers * ROWS_A_FAILOVER)
        stage = Stage(workload, arena.kafka.address, **pair.settings)
        workers = [stack.enter_context(stage.worker()) for _ in range(WORKERS)]
        for worker in workers:
            worker.wait_for("scheduler_started")  # from then on it takes signals
        found = [_fail_over(stage, pair, workers, current) for _ in range(failovers)]
        workload.time_passes()
        workload.wait(PATIENCE)
        ended = sum(worker.ended is not None for worker in workers)
        return {**CAMPAIGN.merged(found), **stage.judge(), "process exits": ended}


def _fail_over(
    stage: Stage, pair: PostgresPair, workers: Sequence[Process], current: Round
) -> Figures:
    """Kill the primary, leave the standby alone for a while, promote it, and make it a pair."""
    # Rows that are all due at once are soon done.
    time.sleep(current.dice.uniform(0, 1 if stage.scheduler.name in DUE_BY else 0.2))
    at_work = stage.workload.undone() > 0
    pair.primary.kill()
    for worker in workers:
        worker.send(signal.SIGUSR1)
    time.sleep(current.dice.uniform(0, 1.5))
    promoted = time.time()  # a worker may find the new primary before `promote` returns
    pair.promote()
    stage.database.server = pair.primary
    poll_until(lambda: all(first_good_pass(worker, promoted) for worker in workers), PATIENCE)
    last = max(first_good_pass(worker, promoted) or time.time() for worker in workers)
    pair.follow()
    return {
        "failovers": 1,
        "amid the work": at_work,
        "first good pass": last - promoted,
    }


CAMPAIGN = Campaign(
    name="failover",
    promise="a standby takes over, and nothing is lost",
    faults=f"a primary with a synchronous standby killed {ROUNDS * FAILOVERS_A_ROUND} times, the "
    f"standby promoted up to 1.5 s later and followed by the other; {WORKERS} workers, each "
    "scheduler in turn",
    limits=(
        Limit("failovers"),
        Limit("amid the work", least=1, at_full_size=True),
        Limit("first good pass", most=10, unit=" s", at_full_size=True, merge=max),
        *never("process exits"),
        *NOTHING_LOST,
        Limit("duplicates"),
    ),
    play=play,
    rounds=ROUNDS,
)
