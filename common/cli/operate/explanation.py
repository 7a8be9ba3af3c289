"""Why one row was not processed, or when it will be.

The conditions are those of the scheduler's own passes, and so are the settings and the PostgreSQL
role.
"""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from common.cli.operate import row_facts
from common.cli.operate.row_facts import Asked, Fact
from common.cli.services import UsageError
from common.config import Settings
from common.database.connection import Database
from common.logging.redaction import redact_row
from common.scheduling.pass_runner import PassRunner
from common.scheduling.preview import Checked, Reasons
from common.scheduling.scheduler import Scheduler


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why a row is due for a scheduler or not, and the ``facts`` beside its conditions."""

    service: str
    scheduler: Scheduler
    row: str
    reasons: Reasons
    facts: Sequence[Fact]

    def as_dict(self) -> dict[str, Any]:
        """The row, each condition, and the facts by name, without secrets."""
        return {
            "service": self.service,
            "scheduler": self.scheduler.name,
            "id": self.row,
            "place": self.reasons.place,
            "now": self.reasons.now,
            "due": self.reasons.is_due,
            "since": self.reasons.since,
            "row": redact_row(self.reasons.shown),
            "conditions": [_condition(each) for each in self.reasons.conditions],
            **{fact.name: fact.value for fact in self.facts},
        }


def explain(scheduler: Scheduler, settings: Settings, database: Database, row: str) -> Explanation:
    """Check every condition for the row with this id, and look up what else is known of it.

    Raises UsageError if no row can have this id, PassError if none has it, and psycopg.Error.
    """
    row_id = _row_id(scheduler, row)
    runner = PassRunner(scheduler, settings, database)
    with runner.connect_to_look() as connection:
        reasons = runner.why(connection, row_id)
        facts = row_facts.of(Asked(connection, scheduler, settings, row_id, reasons.now))
    return Explanation(settings.service, scheduler, row_id, reasons, facts)


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


def _condition(checked: Checked) -> dict[str, Any]:
    return {
        "name": checked.name,
        "met": checked.is_met,
        "values": redact_row(checked.values),
        "settings": checked.settings,
        "not_before": checked.not_before,
    }
