"""Trigger: the running worker of this machine does a pass now."""

import math
import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any

from common.cli.once.outcome import NOT_RUN, PassOutcome
from common.cli.operate import action, local_worker
from common.cli.services import scheduler_named
from common.config import Settings
from common.database.audit import Operator
from common.database.controls import pauses, triggers
from common.database.controls.triggers import Trigger
from common.database.session import Session
from common.errors import PassError
from common.scheduling.service import Service

POLL_SECONDS = 0.1
# A worker reads its triggers as soon as it gets the signal.
TAKE_SECONDS = 15.0

_NOT_TAKEN = "its worker does not run it: another version, or other settings? Restart it"

# A row of the run history.
Run = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class TriggeredPass:
    """How a pass ended; ``joined`` has its start if it was under way when it was triggered."""

    outcome: PassOutcome
    joined: datetime | None


def request(
    connection: Session,
    operator: Operator,
    service: Service,
    settings: Settings,
    scheduler: str | None = None,
) -> Trigger:
    """Let the worker run the named scheduler, or all of the service that are enabled.

    Raises UsageError; PassError if there is no such worker or it does not run the scheduler.
    """
    named = [scheduler_named(service, scheduler)] if scheduler else []
    chosen = named or [each for each in service.schedulers if settings[each.enabled]]
    subject, names = action.subject(service.name, scheduler), [each.name for each in chosen]
    for each in named:
        if not settings[each.enabled]:
            raise PassError(
                f"{each.name} is off, so no worker runs it; `toast once {subject}` does"
            )
    process = local_worker.find(connection, service.name, names)
    if process is None:
        raise PassError(
            f"no worker of {service.name} runs on this machine; `toast once {subject}` runs a pass"
            " without one"
        )
    if not local_worker.may_wake(process):
        raise PassError(f"the worker, process {process}, is another user's: use sudo")
    trigger = triggers.new(connection, service.name, names, process)
    leave = partial(triggers.request, connection, trigger)
    action.do(connection, operator, "trigger", subject, leave)
    local_worker.wake(process)
    return trigger


def wait(connection: Session, trigger: Trigger) -> list[TriggeredPass]:
    """Wait for the end of the passes, or of the worker."""
    runs = _runs(connection, trigger)
    paused = pauses.in_effect(connection)
    return [_pass(trigger, name, runs.get(name), paused) for name in trigger.schedulers]


def _runs(connection: Session, trigger: Trigger) -> Mapping[str, Run]:
    """The run of each scheduler that ended first; not of those that the worker will not run."""
    awaited, withdraw_at = set(trigger.schedulers), time.monotonic() + TAKE_SECONDS
    while True:
        goes_on = local_worker.is_running(trigger.process)
        runs = triggers.outcomes(connection, trigger)
        if time.monotonic() > withdraw_at:
            awaited.difference_update(triggers.withdraw(connection, trigger))
            withdraw_at = math.inf
        if not goes_on or awaited <= runs.keys():
            return runs
        time.sleep(POLL_SECONDS)


def _pass(
    trigger: Trigger, name: str, run: Run | None, paused: Collection[tuple[str, str]]
) -> TriggeredPass:
    if run is None:
        has_ended = not local_worker.is_running(trigger.process)
        why = "its worker has ended" if has_ended else _NOT_TAKEN
        return TriggeredPass(PassOutcome(name, NOT_RUN, {}, 0.0, why), None)
    was_cut = run["result"] in ("skipped", "stopped")
    outcome = PassOutcome(
        name,
        run["result"],
        run["counts"],
        run["seconds"],
        run["error"],
        paused=was_cut and (trigger.service, name) in paused,
    )
    began = run["started_at"]
    return TriggeredPass(outcome, began if began < trigger.requested_at else None)
