"""What `make run` prints: the banner, the table of the first round, a line per event."""

import json
import re
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from common.cli import text_table
from demo.event_stream import PublishedEvent
from demo.first_round import Outcome

RULE = "-" * 78
LONGEST_VALUE = 40

HEADINGS = ("service", "scheduler", "state", "processed", "events", "took", "next run")
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_FRACTION = re.compile(r"(?<=\d\d:\d\d:\d\d)\.\d+(?=Z$)")


def embedded_banner(
    rows: Mapping[str, int], database: str, brokers: str, stand_ins: Mapping[str, str]
) -> str:
    """The servers with sample data, and how to use them from another terminal."""
    servers = {
        "PostgreSQL": f"{database}   {sum(rows.values())} sample rows in {len(rows)} live tables",
        "Kafka": f"{brokers}   librdkafka's mock broker, in memory",
        **{name: f"{address}   a stand-in" for name, address in stand_ins.items()},
    }
    listed = "\n".join(f"  {name:<18} {what}" for name, what in servers.items())
    return f"""{RULE}
No settings found, so this is a demonstration on this machine alone:
{listed}
All of it is gone when this ends. Worker logs: .run/log/
In another terminal:  set -a; . .run/demo.env; set +a; .venv/bin/toast list
{RULE}"""


def settings_banner(found: Sequence[str]) -> str:
    """The settings in use, without servers of our own."""
    return f"""{RULE}
Running with the settings of: {", ".join(found)}
Only the eight workers are started. Worker logs: .run/log/
{RULE}"""


def table(outcomes: Sequence[Outcome], now: datetime) -> str:
    """One line per scheduler, then one per problem; times are local."""
    rows = [
        (
            outcome.service,
            outcome.scheduler,
            outcome.state,
            outcome.processed,
            outcome.events,
            "-" if outcome.seconds is None else f"{outcome.seconds:.2f}s",
            _next_run(outcome, now),
        )
        for outcome in outcomes
    ]
    problems = [
        f"{outcome.service} {outcome.scheduler}: {_shown(outcome.problem)}"
        for outcome in outcomes
        if outcome.problem
    ]
    return "\n".join(["", text_table.render(HEADINGS, rows), "", *problems])


def event_line(event: PublishedEvent) -> str:
    """Time, topic, key, and the fields in short; the key's own field is left out."""
    fields = (
        f"{name}={_short(_shown(value))}"
        for name, value in event.fields.items()
        if value != event.key
    )
    time = event.time.astimezone().strftime("%H:%M:%S")
    return f"{time}  {event.topic:<36}  {_shown(event.key)}  {' '.join(fields)}".rstrip()


def _next_run(outcome: Outcome, now: datetime) -> str:
    if outcome.next_run is None:
        return "soon again" if outcome.state == "failed" and outcome.seconds is not None else "-"
    local = outcome.next_run.astimezone()
    is_far = outcome.next_run - now > timedelta(hours=12)
    return local.strftime("%a %H:%M:%S" if is_far else "%H:%M:%S")


def _shown(value: object) -> str:
    """Text without control characters, which could move the terminal's cursor."""
    text = value if isinstance(value, str) else json.dumps(value)
    return text if text.isprintable() else json.dumps(text)


def _short(text: str) -> str:
    """A time without fractions, the beginning of an id, or the beginning of a long text."""
    text = _FRACTION.sub("", text)
    if _UUID.fullmatch(text):
        return f"{text[:8]}…"
    return text if len(text) <= LONGEST_VALUE else f"{text[: LONGEST_VALUE - 1]}…"
