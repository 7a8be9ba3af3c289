"""Texts in every column of our own tables that the page shows."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import workers
from testing.database import TestDatabase
from tests.support.outbox_rows import add_event

NOW = datetime.now(UTC)
# The number of the first event that is set aside; those of waiting events are lower.
EVENT = 1_000_000
JOBS = [(name, each.name) for name in workers.SERVICES for each in workers.load(name).schedulers]

EMPTY = """
DELETE FROM toast_outbox; DELETE FROM toast_outbox_set_aside; DELETE FROM toast_runs;
DELETE FROM toast_failed_rows; DELETE FROM toast_audit; DELETE FROM toast_alerts;
DELETE FROM toast_discord_channels; DELETE FROM toast_pauses"""


def plant(database: TestDatabase, texts: Sequence[str]) -> list[UUID]:
    """Put each text into every column, with a run for the scheduler of its number; returns the ids
    of these runs."""
    runs = [uuid4() for _ in texts]
    for number, (text, run) in enumerate(zip(texts, runs, strict=True)):
        job = JOBS[number % len(JOBS)]
        _add_run(database, text, run, job)
        # The page shows the pause instead of the error.
        if number % 2 and number < len(JOBS):
            _add_pause(database, text, job)
        _add_events(database, text, number)
        _add_others(database, text, number)
    return runs


def _add_run(database: TestDatabase, text: str, run: UUID, job: tuple[str, str]) -> None:
    about = dict(zip(("service", "scheduler"), job, strict=True))
    database.insert(
        "toast_runs",
        **about,
        id=run,
        host=text,
        process=7,
        started_at=NOW - timedelta(minutes=1),
        finished_at=NOW,
        result="failed",
        counts=json.dumps({text: 3}),
        error=text,
        version=text,
        clock_ahead=0.5,
    )


def _add_pause(database: TestDatabase, text: str, job: tuple[str, str]) -> None:
    about = dict(zip(("service", "scheduler"), job, strict=True))
    database.insert("toast_pauses", **about, reason=text, paused_by=text, host=text)


def _add_events(database: TestDatabase, text: str, number: int) -> None:
    add_event(database, service="link", topic=text, key=text, payload=text)
    database.insert(
        "toast_outbox_set_aside",
        id=EVENT + number,
        service=text,
        topic=text,
        key=text,
        event_id=uuid4(),
        occurred_at=NOW,
        payload=text,
        tries=5,
        error=text,
        set_aside_at=NOW,
    )


def _add_others(database: TestDatabase, text: str, number: int) -> None:
    database.insert(
        "toast_failed_rows", scheduler="guild-sync", row_id=UUID(int=number), reason=text, since=NOW
    )
    database.insert("toast_alerts", scheduler=text, subject_id=UUID(int=number), facts=text)
    database.insert(
        "toast_discord_channels", channel_id=UUID(int=1 + number), gone_row="row", gone_reason=text
    )
    words = dict.fromkeys(("login", "host", "action", "subject", "reason"), text)
    database.insert("toast_audit", **words, rows=1, first_rows=[text], done_at=NOW)
