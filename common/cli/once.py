"""`toast once`: one pass of some schedulers in the foreground, and its report."""

import json
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import psycopg

from common.cli import text_table
from common.config import Settings
from common.database.advice import advised
from common.database.connection import Database
from common.errors import PassError
from common.logging import logs
from common.logging.redaction import redact
from common.scheduling.observer import Observer
from common.scheduling.pass_runner import PassRunner
from common.scheduling.scheduler import Scheduler

PUBLISH_SECONDS = 60.0
PAUSE_SECONDS = 0.2
_COLUMNS = ("processed", "events", "failed")


@dataclass(frozen=True, slots=True)
class PassOutcome:
    """The result of one scheduler; ``rows`` only in a dry run."""

    name: str
    result: str
    counts: Mapping[str, int]
    seconds: float
    error: str
    rows: Sequence[Mapping[str, Any]] | None = None


@dataclass(frozen=True, slots=True)
class OnceReport:
    """The result of `toast once`, or of its dry run."""

    service: str
    schedulers: list[PassOutcome]
    published: int = 0
    waiting: str = ""
    dry_run: bool = False

    @property
    def failed(self) -> bool:
        return any(outcome.result == "failed" for outcome in self.schedulers)

    def as_json(self) -> str:
        """One object: service, schedulers, published."""
        schedulers = [
            {
                "name": outcome.name,
                "result": outcome.result,
                "counts": dict(outcome.counts),
                "seconds": round(outcome.seconds, 3),
                "error": outcome.error,
                **({} if outcome.rows is None else {"rows": outcome.rows}),
            }
            for outcome in self.schedulers
        ]
        answer = {"service": self.service, "schedulers": schedulers, "published": self.published}
        return json.dumps(answer, default=str)

    def as_text(self) -> str:
        """Due rows in a dry run, otherwise counts and published events, as text."""
        if self.dry_run:
            return "\n\n".join(map(_preview_text, self.schedulers))
        header = ("scheduler", "result", *_COLUMNS, "took", "details")
        lines = [text_table.render(header, map(_row, self.schedulers))]
        lines += [
            f"{outcome.name}: {outcome.error}" for outcome in self.schedulers if outcome.error
        ]
        lines.append(f"published {self.published} events")
        if self.waiting:
            lines.append(f"events are waiting: {self.waiting}")
        return "\n".join(lines)


def run(
    schedulers: Sequence[Scheduler], settings: Settings, observers: Sequence[Observer] = ()
) -> OnceReport:
    """Run one pass of each scheduler, then publish the outbox."""
    database = Database(settings)
    with logs.bind(service=settings.service):
        runs = [
            PassRunner(scheduler, settings, database, observers=observers).run()
            for scheduler in schedulers
        ]
        published, waiting = 0, ""
        if any(scheduler.topics for scheduler in schedulers):
            published, waiting = _publish(settings, database)
    outcomes = [
        PassOutcome(run.scheduler, run.result, run.counts, run.seconds, run.error) for run in runs
    ]
    return OnceReport(settings.service, outcomes, published, waiting)


def dry_run(schedulers: Sequence[Scheduler], settings: Settings) -> OnceReport:
    """Preview one pass of each scheduler; changes nothing and migrates nothing."""
    database = Database(settings)
    outcomes = [_preview(PassRunner(scheduler, settings, database)) for scheduler in schedulers]
    return OnceReport(settings.service, outcomes, dry_run=True)


def _preview(runner: PassRunner) -> PassOutcome:
    started = time.monotonic()
    result, counts, error, rows = "ok", {"due": 0}, "", []
    try:
        preview = runner.preview()
        counts, rows = {"due": preview.count}, [_readable(row) for row in preview.rows]
    except (psycopg.Error, PassError) as fault:
        result, error = "failed", redact(advised(str(fault), fault))
    seconds = time.monotonic() - started
    return PassOutcome(runner.scheduler.name, result, counts, seconds, error, rows)


def _readable(row: Mapping[str, Any]) -> dict[str, Any]:
    """The row with secrets removed, which errors stored by the live services may hold."""
    return {name: redact(value) if isinstance(value, str) else value for name, value in row.items()}


def _publish(settings: Settings, database: Database) -> tuple[int, str]:
    """Publish; returns the number of events, and why others wait, or ""."""
    # Imported here so that a service without topics does not load the publisher.
    from common.events.publisher import Publisher

    publisher = Publisher(settings, database)
    deadline = time.monotonic() + PUBLISH_SECONDS
    published = 0
    try:
        while True:
            outcome = publisher.drain(stopping=lambda: time.monotonic() > deadline)
            published += outcome.published
            # A worker that runs now publishes our events, too: let it finish.
            if not outcome.elsewhere or time.monotonic() > deadline:
                return published, redact(outcome.reason)
            threading.Event().wait(PAUSE_SECONDS)
    except (psycopg.Error, PassError) as error:
        return published, redact(advised(str(error), error))
    finally:
        publisher.close()


def _row(outcome: PassOutcome) -> tuple[object, ...]:
    details = ", ".join(
        f"{name} {count}" for name, count in outcome.counts.items() if name not in _COLUMNS
    )
    figures = (outcome.counts.get(name, 0) for name in _COLUMNS)
    return (outcome.name, outcome.result, *figures, f"{outcome.seconds:.2f}s", details)


def _preview_text(outcome: PassOutcome) -> str:
    if outcome.error:
        return f"{outcome.name}: {outcome.error}"
    due, rows = outcome.counts["due"], outcome.rows or []
    title = f"{outcome.name}: {due} due"
    if not rows:
        return title
    shown = "" if due <= len(rows) else f", the first {len(rows)}"
    return (
        f"{title}{shown}\n{text_table.render(list(rows[0]), (list(row.values()) for row in rows))}"
    )
