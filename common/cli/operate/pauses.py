"""Pause and resume schedulers: no worker runs one that is paused, on any machine."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import partial

from common.cli import time_span
from common.cli.operate import action, local_worker
from common.cli.services import UsageError, schedulers_chosen
from common.database.audit import Changed, Operator
from common.database.controls import pauses, triggers
from common.database.controls.pauses import End, Pause
from common.database.session import Session
from common.scheduling.service import Service

_TIME = "a time to come, such as '2026-12-24 18:00'; add +01:00 or Z if it is not this machine's"


def end(span: str | None = None, until: str | None = None) -> End:
    """When a pause ends, by ``--for`` or ``--until``; neither: when it is resumed.

    Raises UsageError.
    """
    return End(_until(until), time_span.option("--for", span))


def _until(text: str | None) -> datetime | None:
    if text is None:
        return None
    try:
        until = datetime.fromisoformat(text).astimezone(UTC)
    except (ValueError, OverflowError) as fault:
        raise UsageError(f"--until {text!r} ({fault}); expected {_TIME}") from None
    if until <= datetime.now(UTC):
        raise UsageError(f"--until {text!r}: {until:%Y-%m-%d %H:%M} UTC is over; expected {_TIME}")
    return until


def reason(text: str) -> str:
    """The reason of a pause, in one line. Raises UsageError if it is empty."""
    words = " ".join(text.split())
    if not words:
        raise UsageError("--reason is empty; say why, for everybody who sees the pause")
    return words


def pause(
    connection: Session,
    operator: Operator,
    service: Service,
    scheduler: str | None,
    end: End,
    reason: str,
) -> Mapping[str, Pause]:
    """Pause the named scheduler, or all of the service; a pause that it has is replaced.

    Returns the pauses by scheduler. Raises UsageError.
    """
    names = _names(service, scheduler)
    begin = partial(pauses.begin, connection, operator, service.name, names, reason, end)
    subject = action.subject(service.name, scheduler)
    action.do(connection, operator, f"pause {end}", subject, begin, reason)
    in_effect = pauses.in_effect(connection)
    return {name: in_effect[job] for name in names if (job := (service.name, name)) in in_effect}


def resume(
    connection: Session, operator: Operator, service: Service, scheduler: str | None
) -> Sequence[str]:
    """End the pause of the named scheduler, or of all of the service; its worker on this machine
    runs at once. Returns the schedulers that were paused. Raises UsageError."""
    names = _names(service, scheduler)
    process = local_worker.find(connection, service.name, names)
    if process and not local_worker.may_wake(process):
        process = None  # it runs at its next tick, as workers of other machines do
    end = partial(_end, connection, service.name, names, process)
    subject = action.subject(service.name, scheduler)
    resumed = action.do(connection, operator, "resume", subject, end)
    if process and resumed.count:
        local_worker.wake(process)
    return resumed.first


def _end(connection: Session, service: str, names: Sequence[str], process: int | None) -> Changed:
    """End the pauses, and let the worker of this machine run at once."""
    changed = pauses.end(connection, service, names)
    if process:
        triggers.request(connection, triggers.new(connection, service, changed.first, process))
    return changed


def _names(service: Service, scheduler: str | None) -> list[str]:
    return [each.name for each in schedulers_chosen(service, scheduler)]
