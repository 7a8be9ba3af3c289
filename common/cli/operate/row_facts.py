"""What is known of one row beside its conditions: failures, alerts, events, and the passes."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from common.cli.operate import failed_rows
from common.cli.status import job_history
from common.cli.status.job_history import History, Job
from common.config import Settings
from common.database import own_tables
from common.database.session import Session
from common.events import outbox, outbox_admin
from common.scheduling.scheduler import Scheduler
from common.worker.status_line import ago, ahead

_CHARACTERS = 100

_ALERT = """
SELECT facts, raised_at, raised_at < 'infinity' AS is_announced FROM toast_alerts
WHERE scheduler = %s AND subject_id = %s"""


@dataclass(frozen=True, slots=True)
class Asked:
    """The row that is asked about, and the connection to ask more about it.

    Of the waiting events only the first ``most_events`` are searched; None: all.
    """

    connection: Session
    scheduler: Scheduler
    settings: Settings
    row: str
    now: datetime
    most_events: int | None = None


class Fact(NamedTuple):
    """What one table says: the name and value for JSON, the title and lines for people."""

    name: str
    value: Any
    title: str
    lines: Sequence[str]


def of(asked: Asked) -> list[Fact]:
    """Every fact that a row of this scheduler can have."""
    scheduler = asked.scheduler
    asides = [_set_aside(asked)] if own_tables.SETTING_ROWS_ASIDE in scheduler.tables else []
    alerts = [_alert(asked)] if own_tables.ALERTS in scheduler.tables else []
    events = [_events(asked)] if scheduler.topics else []
    return [*asides, *alerts, *events, *_passes(asked)]


def _set_aside(asked: Asked) -> Fact:
    chosen = failed_rows.Chosen([asked.scheduler.name], [UUID(asked.row)])
    row = next(failed_rows.listing(asked.connection, chosen), None)
    line = "no"
    if row:
        times = "once" if row["failures"] == 1 else f"{row['failures']} times"
        until = (
            "for good"
            if row["state"] == "dropped"
            else f"until {value(row['retry_at'], asked.now)}"
        )
        line = f"{until}; failed {times}: {row['reason']}"
    return Fact("set_aside", row, "set aside", [line])


def _alert(asked: Asked) -> Fact:
    values = (asked.scheduler.name, asked.row)
    alert = asked.connection.execute(_ALERT, values).fetchone()
    line = "none was raised"
    if alert:
        when = value(alert["raised_at"], asked.now)
        raised = f"raised {when}" if alert["is_announced"] else "known before the takeover"
        line = f"{raised}: {alert['facts']}"
    return Fact("alert", alert, "alert", [line])


def _events(asked: Asked) -> Fact:
    topics, service, most = asked.scheduler.topics, asked.settings.service, asked.most_events
    found = outbox_admin.of_key(asked.connection, service, topics, asked.row, most)
    lines = [_event(event, asked.now) for event in found]
    if not lines:
        # A published event is deleted, and its id was random: only Kafka knows it.
        none = (
            f"none waits or is set aside; an earlier one is in {' or '.join(topics)} with this "
            "key, unless it was dropped"
        )
        if most and outbox.of_service(asked.connection, service, most).waiting == most:
            none = f"none was set aside, or is one of the first {most:,} that wait"
        lines = [none]
    return Fact("events", found, "events", lines)


def _event(event: Mapping[str, Any], now: datetime) -> str:
    at = event["set_aside_at"]
    state = f"set aside {value(at, now)}: {event['error']}" if at else "waits"
    return f"{event['id']} {event['topic']} of {value(event['occurred_at'], now)}: {state}"


def _passes(asked: Asked) -> Sequence[Fact]:
    """The pause, the last and the next pass of the scheduler."""
    job_key = (asked.settings.service, asked.scheduler, asked.settings)
    job = History(asked.connection, [job_key]).job(*job_key)
    counts = ", ".join(f"{count} {name}" for name, count in job.counts.items() if count)
    last = f"{value(job.last_run, asked.now)}; {job.state}" if job.last_run else "none is recorded"
    lines = [last, *filter(None, (counts, job.error))]
    known = asdict(job)
    passes = {
        name: known[name] for name in ("state", "last_run", "counts", "error", "last_success")
    }
    pause = asdict(job.pause) if job.pause else None
    return (
        Fact("pause", pause, "pause", [str(job.pause) if job.pause else "none"]),
        Fact("last_pass", passes, "last pass", ["; ".join(lines)]),
        Fact("next_pass", job.next_run, "next pass", [_next_pass(asked, job)]),
    )


def _next_pass(asked: Asked, job: Job) -> str:
    enabled, interval = asked.scheduler.enabled, asked.settings.written(asked.scheduler.interval)
    if not job.enabled:
        return f"none: {enabled.name}=false ({asked.settings.origin(enabled)})"
    if job.pause and job.pause.until is None:
        return "when the scheduler is resumed"
    if job.state == job_history.FAILING:
        return "soon, because the last one failed"
    if job.next_run is None:
        return f"when its worker starts, then every {interval}"
    return f"{value(job.next_run, asked.now)}, every {interval}, if its worker runs"


def in_words(values: Mapping[str, Any], now: datetime) -> str:
    """Names and values in one line."""
    return "; ".join(f"{name} {value(each, now)}" for name, each in values.items())


def value(value: object, now: datetime) -> str:
    """A value of a row for people, a time with its distance from ``now``; long text is cut."""
    if isinstance(value, datetime):
        return _when(value, now)
    if value is None or isinstance(value, bool):
        return {None: "NULL", True: "true", False: "false"}[value]
    text = " ".join(str(value).split())
    return text[:_CHARACTERS] + "..." * (len(text) > _CHARACTERS) or "''"


def _when(moment: datetime, now: datetime) -> str:
    # A session reads infinity, and years that Python does not know, as the nearest that it knows.
    if moment.year == datetime.max.year:
        return "the end of time (infinity, or the year 9999 and later)"
    if moment.year == datetime.min.year:
        return "the beginning of time (-infinity, or the year 1 and before)"
    seconds = (now - moment).total_seconds()
    distance = ago(seconds) if seconds >= 0 else ahead(-seconds)
    return f"{moment:%Y-%m-%d %H:%M:%S} UTC, {distance}"
