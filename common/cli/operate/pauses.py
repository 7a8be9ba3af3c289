"""`toast pause` and `toast resume`: no worker runs a paused scheduler, on any machine."""

import argparse
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from functools import partial

from common import exit_codes
from common.cli import output, time_span
from common.cli.operate import bulk, local_worker
from common.cli.services import Services, UsageError, database, schedulers_chosen
from common.database import migrations, own_tables
from common.database.audit import Changed
from common.database.controls import pauses, triggers
from common.database.session import Session

_TIME = "a time to come, such as '2026-12-24 18:00'; add +01:00 or Z if it is not this machine's"


def run(services: Services, options: argparse.Namespace) -> int:
    """Pause or resume the named scheduler, or all of the service."""
    chosen = schedulers_chosen(services.named(options.service), options.scheduler)
    act = _pausing(options) if options.command == "pause" else _resume
    with database(services, options).connect() as connection:
        migrations.require(connection, own_tables.EVERY_WORKER, may_apply=False)
        act(connection, options, [scheduler.name for scheduler in chosen])
    return exit_codes.FINE


def _pausing(options: argparse.Namespace) -> partial[None]:
    """What to do, with the options that are read before anything happens. Raises UsageError."""
    reason = " ".join(options.reason.split())
    if not reason:
        raise UsageError("--reason is empty; say why, for everybody who sees the pause")
    end = pauses.End(_until(options.until), time_span.option("--for", options.span))
    return partial(_pause, reason=reason, end=end)


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


def _pause(
    connection: Session,
    options: argparse.Namespace,
    names: Sequence[str],
    *,
    reason: str,
    end: pauses.End,
) -> None:
    do = partial(pauses.begin, connection, options.service, names, reason, end)
    bulk.do_recorded(connection, f"pause {end}", _subject(options), do, reason)
    in_effect = pauses.in_effect(connection)
    begun = {
        name: in_effect[job] for name in names if (job := (options.service, name)) in in_effect
    }
    if options.json:
        schedulers = [{"scheduler": name, **asdict(pause)} for name, pause in begun.items()]
        output.show(output.as_json({"service": options.service, "paused": schedulers}))
    else:
        output.show("\n".join(f"{name}: {pause}" for name, pause in begun.items()))


def _resume(connection: Session, options: argparse.Namespace, names: Sequence[str]) -> None:
    process = local_worker.find(connection, options.service, names)
    if process and not local_worker.may_wake(process):
        process = None  # it runs at its next tick, as workers of other machines do
    do = partial(_end, connection, options.service, names, process)
    changed = bulk.do_recorded(connection, "resume", _subject(options), do)
    if process and changed.count:
        local_worker.wake(process)
    if options.json:
        resumed = {"service": options.service, "resumed": list(changed.first)}
        output.show(output.as_json(resumed))
    elif changed.count:
        output.show("\n".join(f"{name}: resumed" for name in changed.first))
    else:
        output.show(f"{_subject(options)} was not paused")


def _end(connection: Session, service: str, names: Sequence[str], process: int | None) -> Changed:
    """End the pauses, and let the worker of this machine run at once."""
    changed = pauses.end(connection, service, names)
    if process:
        triggers.request(connection, triggers.new(connection, service, changed.first, process))
    return changed


def _subject(options: argparse.Namespace) -> str:
    return " ".join(filter(None, (options.service, options.scheduler)))
