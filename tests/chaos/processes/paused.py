"""A worker that is stopped in the middle, and goes on when others have taken over from it."""

import signal
import time

from devservers.child_processes import PATIENCE
from testing.arena import Arena
from tests.chaos.campaign import Campaign, Figures, Limit, Round
from tests.chaos.stage import NOTHING_LOST, staged
from workers.link import link_expiration
from workers.notification import notification_retry
from workers.sse import client_cleanup
from workers.warcraft import character_sync
from workers.webhook import webhook_delivery

DUE_ROWS = 40
SCHEDULERS = (
    webhook_delivery.SCHEDULER,
    notification_retry.SCHEDULER,
    character_sync.SCHEDULER,
    link_expiration.SCHEDULER,
    client_cleanup.SCHEDULER,
)
# A kernel keeps the connection of a stopped process open. A network that forgets it does not.
_FORGET = """
SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'toast-%'"""


def play(arena: Arena, current: Round) -> Figures:
    """Stop a worker in the middle, let its lease and its connections go, and wake it up again."""
    scheduler = SCHEDULERS[current.number % len(SCHEDULERS)]
    with staged(arena, scheduler, DUE_ROWS) as stage:
        with stage.worker() as paused:
            paused.wait_for("scheduler_started")
            time.sleep(current.dice.uniform(0, 0.4))
            paused.send(signal.SIGSTOP)
            time.sleep(0.1)
            stage.workload.time_passes()
            if scheduler is not webhook_delivery.SCHEDULER:  # a lease must do without that
                stage.database.query(_FORGET)
            with stage.worker():
                stage.workload.wait(PATIENCE)
                paused.send(signal.SIGCONT)
                paused.wait_for("pass_finished", seconds=PATIENCE)
                stage.workload.wait(PATIENCE)
            exits = paused.ended is not None
        return {**stage.judge(), "pauses": 1, "process exits": exits}


CAMPAIGN = Campaign(
    name="paused",
    promise="a worker that was paused past its lease does nothing twice",
    faults="SIGSTOP in the middle, lease and connections gone, others take over, SIGCONT",
    limits=(Limit("pauses"), *NOTHING_LOST, Limit("process exits", most=0)),
    play=play,
    rounds=100,
    small_rounds=2,
)
