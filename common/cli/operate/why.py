"""`toast why`: why one row was not processed, or when it will be.

The conditions are those of the scheduler's own passes, and so are the settings and the PostgreSQL
role.
"""

import argparse
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from common import exit_codes
from common.cli import output, text_table
from common.cli.operate import row_facts
from common.cli.operate.row_facts import Asked, Fact, in_words, value
from common.cli.services import (
    Services,
    UsageError,
    database_of,
    log_for_a_person,
    print_warnings,
    scheduler_named,
)
from common.config import Settings
from common.scheduling import service_settings
from common.scheduling.pass_runner import PassRunner
from common.scheduling.preview import Checked, Reasons
from common.scheduling.scheduler import Scheduler
from common.scheduling.service import Service

_HEADER = ("condition", "met", "because of")


def run(services: Services, options: argparse.Namespace) -> int:
    """Check every condition for the row, and what else is known of it."""
    service = services.named(options.service)
    scheduler = scheduler_named(service, options.scheduler)
    row = _row_id(scheduler, options.id)
    settings = _settings(service, scheduler)
    runner = PassRunner(scheduler, settings, database_of(settings, options))
    with runner.connect_to_look() as connection:
        reasons = runner.why(connection, row)
        facts = row_facts.of(Asked(connection, scheduler, settings, row, reasons.now))
    output.show_report(Answer(service.name, scheduler, row, reasons, facts), as_json=options.json)
    return exit_codes.FINE


def _row_id(scheduler: Scheduler, given: str) -> str:
    """The id as PostgreSQL writes it. Raises UsageError if no row can have it."""
    if not scheduler.work.due:
        return given
    try:
        return str(uuid.UUID(given))
    except ValueError:
        example = "6f1c2a34-0b5d-4e6f-8a90-123456789abc"
        raise UsageError(
            f"ID {given!r}; expected the UUID of a row of {scheduler.name}, such as {example}"
        ) from None


def _settings(service: Service, scheduler: Scheduler) -> Settings:
    settings = service_settings.load(service, complete=False, used=[scheduler])
    print_warnings([settings])
    log_for_a_person(settings)
    return settings


@dataclass(frozen=True, slots=True)
class Answer:
    """Why a row is due for a scheduler or not, and the ``facts`` beside its conditions."""

    service: str
    scheduler: Scheduler
    row: str
    reasons: Reasons
    facts: Sequence[Fact]

    def as_json(self) -> str:
        """One object: the row, each condition, and the facts by name."""
        conditions = [_as_facts(each) for each in self.reasons.conditions]
        about = {
            "service": self.service,
            "scheduler": self.scheduler.name,
            "id": self.row,
            "place": self.reasons.place,
            "now": self.reasons.now,
            "due": self.reasons.is_due,
            "since": self.reasons.since,
            "row": output.readable(self.reasons.shown),
            "conditions": conditions,
        }
        return output.as_json({**about, **{fact.name: fact.value for fact in self.facts}})

    def as_text(self) -> str:
        """The verdict, a table of the conditions, and a line for each fact."""
        width = max(len(fact.title) for fact in self.facts)
        facts = (
            f"{fact.title if first else '':{width}}  {line}"
            for fact in self.facts
            for first, line in zip((True, *[False] * len(fact.lines)), fact.lines, strict=False)
        )
        table = text_table.render(_HEADER, map(self._cells, self.reasons.conditions))
        return "\n".join((*self._head(), "", table, "", *facts))

    def _head(self) -> Iterator[str]:
        reasons = self.reasons
        yield f"{self.scheduler.name}: {reasons.place} {self.row} is {self._verdict()}"
        yield in_words(output.readable(reasons.shown), reasons.now)

    def _verdict(self) -> str:
        reasons = self.reasons
        since = value(reasons.since, reasons.now)
        if reasons.is_due:
            return f"due{f' since {since}' if reasons.since else ''}"
        unmet = [each for each in reasons.conditions if not each.is_met]
        if all(each.not_before for each in unmet):
            return f"not due before {since}"
        return f"not due: {len(unmet)} of {len(reasons.conditions)} conditions not met"

    def _cells(self, checked: Checked) -> tuple[str, ...]:
        now = self.reasons.now
        met = "yes" if checked.is_met else "not yet" if checked.not_before else "no"
        settings = (f"{name}={written}" for name, written in checked.settings.items())
        is_said = checked.not_before is None or checked.not_before in checked.values.values()
        wait = "" if is_said else f"from {value(checked.not_before, now)}"
        values = in_words(output.readable(checked.values), now)
        return (checked.name, met, "; ".join(filter(None, (values, *settings, wait))))


def _as_facts(checked: Checked) -> dict[str, Any]:
    return {
        "name": checked.name,
        "met": checked.is_met,
        "values": output.readable(checked.values),
        "settings": checked.settings,
        "not_before": checked.not_before,
    }
