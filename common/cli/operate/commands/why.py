"""`toast why`: why one row was not processed, or when it will be."""

import argparse
from collections.abc import Iterator
from dataclasses import dataclass

from common import exit_codes
from common.cli import output, text_table
from common.cli.loading import database_of, settings_to_look
from common.cli.operate import explanation
from common.cli.operate.explanation import HEADER, Explanation, cells, verdict
from common.cli.operate.row_facts import in_words
from common.cli.services import Services, scheduler_named
from common.logging.redaction import redact_row
from common.scheduling.preview import Reasons


def run(services: Services, options: argparse.Namespace) -> int:
    """Check every condition for the row, and what else is known of it."""
    service = services.named(options.service)
    scheduler = scheduler_named(service, options.scheduler)
    settings = settings_to_look(service, scheduler)
    database = database_of(settings, options)
    found = explanation.explain(scheduler, settings, database, options.id)
    output.show_report(_Report(found), as_json=options.json)
    return exit_codes.FINE


@dataclass(frozen=True, slots=True)
class _Report:
    """The verdict, a table of the conditions, and a line for each fact."""

    found: Explanation

    def as_json(self) -> str:
        return output.as_json(self.found.as_dict())

    def as_text(self) -> str:
        width = max(len(fact.title) for fact in self.found.facts)
        facts = (
            f"{fact.title if first else '':{width}}  {line}"
            for fact in self.found.facts
            for first, line in zip((True, *[False] * len(fact.lines)), fact.lines, strict=False)
        )
        rows = (cells(each, self._reasons) for each in self._reasons.conditions)
        return "\n".join((*self._head(), "", text_table.render(HEADER, rows), "", *facts))

    @property
    def _reasons(self) -> Reasons:
        return self.found.reasons

    def _head(self) -> Iterator[str]:
        found, reasons = self.found, self._reasons
        yield f"{found.scheduler.name}: {reasons.place} {found.row} is {verdict(reasons)}"
        yield in_words(redact_row(reasons.shown), reasons.now)
