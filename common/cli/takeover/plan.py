"""What the first passes of a service would do: due rows by age, and events."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

import psycopg

from common.cli import text_table
from common.config import Settings
from common.database import migrations, own_tables, run_history
from common.database.advice import advised
from common.database.connection import Database
from common.errors import PassError
from common.logging.redaction import redact
from common.scheduling.first_pass import Takeover
from common.scheduling.pass_runner import PassRunner
from common.scheduling.preview import Ages, Preview
from common.scheduling.scheduler import Scheduler

_HEADER = ("scheduler", "due", "1 day", "7 days", "30 days", "older", "unknown")


@dataclass(frozen=True, slots=True)
class PlannedPass:
    """What a pass of one scheduler would do.

    ``events`` is the most that it would leave. ``left`` is why it is left to the worker, else "";
    ``last_success`` is None for a first pass; ``error`` is why the rest is not known, else "".
    """

    name: str
    due: int
    ages: Ages
    events: int
    left: str
    last_success: datetime | None
    error: str = ""


@dataclass(frozen=True, slots=True)
class Plan:
    """What the first passes would do if they announced ``announce``."""

    service: str
    announce: str
    schedulers: Sequence[PlannedPass]

    @property
    def failed(self) -> bool:
        """True if a scheduler's rows are not known."""
        return any(each.error for each in self.schedulers)

    @property
    def facts(self) -> dict[str, Any]:
        """For JSON: service, announce, schedulers."""
        return asdict(self)

    def as_text(self, *, adopts: bool) -> str:
        """A table by age, and a line for what an operator must know of a scheduler."""
        header = (*_HEADER, "tried again" if adopts else "events")
        lines = [text_table.render(header, map(_row, self.schedulers))]
        lines += (f"{each.name}: {note}" for each in self.schedulers for note in _notes(each))
        return "\n".join(lines)


def plan(
    schedulers: Sequence[Scheduler], settings: Settings, takeover: Takeover, announce: str
) -> Plan:
    """Count what is due, and changes nothing. ``announce`` is the ``takeover`` in words.

    Raises psycopg.Error, and PassError if our own tables are missing.
    """
    database = Database(settings)
    with database.connect() as connection:
        migrations.require(connection, own_tables.EVERY_WORKER, may_apply=False)
        successes = {
            each.name: run_history.last_success(connection, settings.service, each.name)
            for each in schedulers
        }
    passes = [
        _planned(
            PassRunner(scheduler, settings, database, takeover=takeover),
            why_left(scheduler, takeover),
            successes[scheduler.name],
        )
        for scheduler in schedulers
    ]
    return Plan(settings.service, announce, passes)


def why_left(scheduler: Scheduler, takeover: Takeover) -> str:
    """Why a pass of this scheduler cannot be part of the takeover; "" if it can."""
    if takeover.announced is None or scheduler.work.can_be_quiet:
        return ""
    return (
        "left to its worker, because each row leads to a call of another server, however old it "
        "is; --announce all runs it"
    )


def _planned(runner: PassRunner, left: str, last_success: datetime | None) -> PlannedPass:
    error = ""
    try:
        shown = runner.preview()
    except (psycopg.Error, PassError) as fault:
        shown, error = Preview(0, ()), redact(advised(str(fault), fault))
    ages = shown.ages or Ages(unknown=shown.count)
    events = 0 if left else shown.events
    return PlannedPass(runner.scheduler.name, shown.count, ages, events, left, last_success, error)


def _row(planned: PlannedPass) -> tuple[object, ...]:
    if planned.error:
        return (planned.name, *("-" for _ in _HEADER))
    ages = planned.ages
    by_age = (ages.day, ages.week, ages.month, ages.older, ages.unknown)
    return (planned.name, planned.due, *by_age, planned.events)


def _notes(planned: PlannedPass) -> Iterator[str]:
    if planned.error:
        yield planned.error
    if planned.left:
        yield planned.left
    if planned.last_success:
        yield (
            f"no first pass: one succeeded at {planned.last_success:%Y-%m-%d %H:%M:%S} UTC. "
            "If its worker runs, stop it first: it announces what this leaves quiet"
        )
