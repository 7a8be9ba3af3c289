"""Why one row was not processed, or when it will be.

The conditions are those of the scheduler's own passes, and so are the settings and the PostgreSQL
role.
"""

import threading
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from common.cli.operate import row_facts
from common.cli.operate.row_facts import Asked, Fact, in_words, value
from common.cli.services import UsageError
from common.config import Settings
from common.database.connection import Database
from common.logging.redaction import redact_row
from common.scheduling.pass_runner import PassRunner
from common.scheduling.preview import Checked, Reasons
from common.scheduling.scheduler import Scheduler

HEADER = ("condition", "met", "because of")


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


def explain(
    scheduler: Scheduler,
    settings: Settings,
    database: Database,
    row: str,
    *,
    most_events: int | None = None,
    seconds: float = threading.TIMEOUT_MAX,
) -> Explanation:
    """Check every condition for the row with this id, and look up what else is known of it.

    Of the service's waiting events, only the first ``most_events`` are searched, if given.
    PostgreSQL may take so many ``seconds``.

    Raises UsageError if no row can have this id, PassError if none has it, and psycopg.Error.
    """
    row_id = _row_id(scheduler, row)
    runner = PassRunner(scheduler, settings, database)
    with runner.connect_to_look(seconds) as connection:
        reasons = runner.why(connection, row_id)
        asked = Asked(connection, scheduler, settings, row_id, reasons.now, most_events)
        facts = row_facts.of(asked)
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


def verdict(reasons: Reasons) -> str:
    """Whether the row is due, for people."""
    since = value(reasons.since, reasons.now)
    if reasons.is_due:
        return f"due{f' since {since}' if reasons.since else ''}"
    unmet = [each for each in reasons.conditions if not each.is_met]
    if all(each.not_before for each in unmet):
        return f"not due before {since}"
    return f"not due: {len(unmet)} of {len(reasons.conditions)} conditions not met"


def cells(checked: Checked, reasons: Reasons) -> tuple[str, str, str]:
    """The cells of HEADER for one condition, for people."""
    met = "yes" if checked.is_met else "not yet" if checked.not_before else "no"
    settings = (f"{name}={written}" for name, written in checked.settings.items())
    is_shown = checked.not_before is None or checked.not_before in checked.values.values()
    wait = "" if is_shown else f"from {value(checked.not_before, reasons.now)}"
    values = in_words(redact_row(checked.values), reasons.now)
    return (checked.name, met, "; ".join(filter(None, (values, *settings, wait))))
