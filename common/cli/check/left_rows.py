"""Rows that a crash of the live service left, which nobody takes any more."""

from collections.abc import Iterator

import psycopg

from common.cli.check.checked_service import Subject
from common.cli.check.findings import Finding, warning
from common.database.connection import Database
from common.database.session import Session
from common.scheduling.pass_runner import PassRunner
from common.scheduling.preview import Preview


def check(connection: Session, subject: Subject) -> Iterator[Finding]:
    """Count the rows that `toast takeover --adopt` can adopt."""
    for adoption in subject.service.adoptions:
        runner = PassRunner(adoption, subject.settings, Database(subject.settings))
        try:
            left = runner.preview_in(connection)
        except psycopg.ProgrammingError:
            return  # a table, column or right is missing, which other checks say
        if left.count:
            yield warning(
                "left rows",
                f"{left.count:,} rows of {adoption.tables[0].table.name} were left by a crash of"
                f" the live service, and nobody takes them{_oldest(left)}",
                f"`toast takeover {subject.name} --adopt` shows them and lets them be sent",
            )


def _oldest(left: Preview) -> str:
    oldest = left.ages.oldest if left.ages else None
    return f"; the oldest since {oldest:%Y-%m-%d %H:%M:%S} UTC" if oldest else ""
